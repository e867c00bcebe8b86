"""Web for tests: the real application over a real database, with a clock to wind and runs moved by hand."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
from starlette.testclient import TestClient

from freehold.app.database import open_database
from freehold.audit.canonical import digest
from freehold.core.agents import Agent, Spec, Version
from freehold.core.approvals import OUTCOME_UNKNOWN, Approval
from freehold.core.effects import Verdict
from freehold.core.ids import Ids
from freehold.core.runs import Run, RunEvent, WaitsFor
from freehold.core.tenants import Caller, Tenant, TenantEvent
from freehold.drivers.channel.webhook import WebhookChannel
from freehold.gateway.client import WebGateway
from freehold.runs.aftermath import end
from freehold.settings import Settings
from freehold.store.objects import TenantFiles
from freehold.store.scope import Store
from freehold.tenants import creating, keys, living
from freehold.tenants.caller import Known
from freehold.tenants.sealing import Seal
from freehold.testing.clock import FakeClock
from freehold.testing.objects import MemoryObjects
from freehold.web.building import build
from freehold.web.rates import rates_of
from freehold.web.state import State
from freehold.web.streams import Streams
from freehold.web.tail import Tail
from tests.bystanders import FakeGateway, QuietEngine, QuietNudge
from tests.shelves import shelve

OPERATOR = keys.mint("key_operator", env="op")
SEAL = "5ea1" * 16
UNHURRIED = {"rate_address": 0, "rate_caller": 0, "rate_tenant": 0}
"""Tests ask as often as they like, unless they are about that."""
ADDRESS = "127.0.0.1:7070"
"""Where tests say that they ask: the address that settings state by themselves."""


@dataclass
class Web:
    """The application and all that stands behind it."""

    state: State
    clock: FakeClock
    engine: QuietEngine
    nudge: QuietNudge
    gateway: FakeGateway

    def tenant(self, slug: str, *, draft: bool = False) -> Tenant:
        """Let there be a tenant, deployed unless it is to be a `draft`."""
        told: dict[str, Any] = {"by": "operator", "clock": self.clock}
        with self.state.store.write() as platform:
            made = creating.create(platform, slug=slug, name="", seal=Seal(SEAL), ids=self.state.ids, **told)
            return made if draft else living.live(platform, made.id, TenantEvent.DEPLOY, **told)

    def key(self, tenant: Tenant | None, *scopes: str, **bound: Any) -> str:
        with self.state.store.write() as platform:
            return keys.create(
                platform,
                tenant=None if tenant is None else tenant.id,
                name="test",
                scopes=scopes or ("*",),
                seal=Seal(SEAL),
                ids=self.state.ids,
                clock=self.clock,
                **{"creator": Caller(actor="operator", platform=frozenset({"*"}))} | bound,
            )[1]

    def agent(self, tenant: Tenant, name: str = "helper", **tools: Verdict) -> Agent:
        agent, at = self.state.ids("agt"), self.clock.now()
        spec = Spec(model="rehearsal", tools=tools)
        version = Version(id=self.state.ids("ver"), agent=agent, number=1, spec=spec, created_at=at)
        made = Agent(id=agent, name=name, version=version.id, created_at=at)
        with self.state.store.tenant(tenant.id).write() as scope:
            scope.agents.add(made)
            scope.versions.add(version)
        return made

    def move(self, tenant: Tenant, run: str, event: RunEvent, **changes: Any) -> Run:
        """Let `event` happen to the run as a worker would; `changes` are fields it gets with it."""
        with self.state.store.tenant(tenant.id).write() as scope:
            waits_for = changes.pop("waits_for", None)
            moved = scope.runs.get(run).after(event, at=self.clock.now(), waits_for=waits_for)
            moved = replace(moved, **changes)
            if event in {RunEvent.FINISH, RunEvent.FAIL, RunEvent.CANCEL}:
                end(scope, self.engine, moved, clock=self.clock)
            else:
                kind = {RunEvent.START: "started", RunEvent.PARK: "waiting", RunEvent.RESUME: "resumed"}[event]
                scope.runs.move(moved)
                scope.events.append(run, f"run.{kind}", {"waits_for": waits_for}, at=self.clock.now())
            return moved

    def answer(self, tenant: Tenant, run: str, text: str) -> None:
        """Start the run and end it with `text`."""
        self.move(tenant, run, RunEvent.START)
        self.move(tenant, run, RunEvent.FINISH, output=text)

    def ask(self, tenant: Tenant, run: str, reason: str = "", kind: str = "", **effect: Any) -> Approval:
        """Start the run and park it with a question, about the `effect` if one is named."""
        self.move(tenant, run, RunEvent.START)
        about: dict[str, Any] = {
            "connection": "sandbox",
            "operation": "delete_file",
            "arguments": {"path": "a.txt"},
        } | effect
        approval = Approval(
            id=self.state.ids("apr"),
            run=run,
            agent="agt_1",
            key=f"{run}/1/1/1",
            call="call_1",
            reason=reason,
            kind=kind,
            attempts=int(reason == OUTCOME_UNKNOWN),
            **about,
            hash=digest(about),
            created_at=self.clock.now(),
            expires_at=self.clock.now().replace(year=2030),
        )
        with self.state.store.tenant(tenant.id).write() as scope:
            scope.approvals.add(approval)
        self.move(tenant, run, RunEvent.PARK, waits_for=WaitsFor.PERSON)
        return approval


def made(data: Path, *, gateway: Any = None, **settings: Any) -> Web:
    """Put the application together over `data`."""
    clock, engine, nudge = FakeClock(), QuietEngine(), QuietNudge()
    fake = FakeGateway()
    objects = MemoryObjects()
    stated = Settings(data=data, **UNHURRIED | settings)
    if not stated.database:
        shelve(data)
    store = Store(open_database(stated))
    known = Known(
        operator_hash=keys.hashed(OPERATOR),
        seal=Seal(SEAL),
        operator_passkey=stated.operator_passkey,
        claim_hash=stated.claim_hash,
    )
    tail = Tail(store)
    state = State(
        settings=stated,
        store=store,
        clock=clock,
        ids=Ids(clock.now),
        engine=engine,
        gateway=cast("WebGateway", gateway or fake),
        tail=tail,
        streams=Streams(store, tail, known=known, clock=clock),
        worker=nudge,
        channels={"webhook": WebhookChannel()},
        files=lambda tenant: TenantFiles(objects, tenant),
        known=known,
        rates=rates_of(stated, clock),
    )
    return Web(state=state, clock=clock, engine=engine, nudge=nudge, gateway=fake)


@contextmanager
def client(web: Web, key: str | None = OPERATOR) -> Iterator[TestClient]:
    """Give a client that asks with `key`; a bug is answered as one."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    with TestClient(
        build(web.state), base_url=f"http://{ADDRESS}", headers=headers, raise_server_exceptions=False
    ) as asking:
        yield asking


@asynccontextmanager
async def served(
    web: Web, key: str | None = OPERATOR, *, listener: socket.socket | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the application served on a real socket, in this loop, its tail following."""
    listener = listener or socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(build(web.state), ws="none", lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    tasks = [asyncio.create_task(server.serve(sockets=[listener])), asyncio.create_task(web.state.tail.follow())]
    tasks.append(asyncio.create_task(web.state.streams.follow()))
    headers = {"Host": ADDRESS} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=20.0) as asking:
            yield asking
    finally:
        web.state.tail.close()
        server.should_exit = True
        await tasks[0]
        for task in tasks[1:]:
            task.cancel()


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
