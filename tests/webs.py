"""Web for tests: the real application over a real database, with a clock to wind and runs moved by hand."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
from nacl.public import PrivateKey, SealedBox
from nacl.signing import SigningKey
from sqlalchemy import Connection
from starlette.testclient import TestClient
from typing_extensions import override

from freehold.app.database import open_database
from freehold.audit.canonical import canonical, digest
from freehold.audit.chain import Head
from freehold.audit.heads import export_body, signed_line
from freehold.core.agents import Agent, Spec, Version
from freehold.core.approvals import Approval
from freehold.core.effects import Verdict
from freehold.core.errors import Conflict, Denied, NotFound
from freehold.core.ids import Ids
from freehold.core.runs import Run, RunEvent, WaitsFor
from freehold.core.tenants import Caller, Tenant, TenantEvent
from freehold.drivers.channel.webhook import WebhookChannel
from freehold.gateway.client import WebGateway
from freehold.runs.aftermath import end
from freehold.runs.engine import Engine, Ticket
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

OPERATOR = keys.mint("key_operator", env="op")
SEAL = "5ea1" * 16
UNHURRIED = {"rate_address": 0, "rate_caller": 0, "rate_tenant": 0}
"""Tests ask as often as they like, unless they are about that."""
ADDRESS = "127.0.0.1:7070"
"""Where tests say that they ask: the address that settings state by themselves."""


class QuietEngine(Engine):
    """Remembers what was submitted, and does nothing about it."""

    slots = 4

    def __init__(self) -> None:
        self.submitted: list[str] = []

    @override
    def submit(self, connection: Connection, *, tenant: str, run: str, segment: int, slot: int) -> None:
        self.submitted.append(f"{run}:{segment}")

    @override
    def withdraw(self, connection: Connection, *, run: str, segment: int) -> None:
        return

    @override
    def missing(self, connection: Connection, tickets: Iterable[Ticket]) -> list[Ticket]:
        return []

    @override
    def forget(self, connection: Connection, tickets: Iterable[Ticket]) -> None:
        return


class QuietNudge:
    """Remembers what the workers were told."""

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []

    def send(self, what: dict[str, object]) -> None:
        self.sent.append(what)


@dataclass
class FakeGateway:
    """As much of the gateway as web's own tests need; journeys use the real one."""

    secrets: dict[tuple[str | None, str], int] = field(default_factory=dict)
    connections: dict[tuple[str | None, str], dict[str, Any]] = field(default_factory=dict)
    decided: dict[str, bool] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    paused: dict[str | None, str] = field(default_factory=dict)
    """By whom the effects of a tenant (none: of all) are paused."""
    erased: list[str] = field(default_factory=list)
    signed: bool = True
    signing: SigningKey = field(default_factory=SigningKey.generate)
    mails: list[dict[str, Any]] = field(default_factory=list)
    """Everything that went out, and what only looked as if."""
    mail: bool = True
    """Whether there is a server that mail goes through."""

    async def set_secret(self, tenant: str | None, name: str, value: str, *, by: str) -> None:
        self.secrets[tenant, name] = self.secrets.get((tenant, name), 0) + 1

    async def list_secrets(self, tenant: str | None) -> list[dict[str, Any]]:
        told = {"set_by": "operator", "set_at": 1_767_268_800_000}
        return [{"name": name, "version": n} | told for (whose, name), n in self.secrets.items() if whose == tenant]

    async def delete_secret(self, tenant: str | None, name: str, *, by: str) -> None:
        if self.secrets.pop((tenant, name), None) is None:
            raise NotFound("There is no such secret.")

    async def create_connection(
        self, tenant: str | None, *, kind: str, name: str, config: dict[str, Any], secret: str | None, by: str
    ) -> dict[str, Any]:
        if (tenant, name) in self.connections:
            raise Conflict("There is one already.", code="duplicate_name")
        made = {"id": f"con_{name}", "name": name, "kind": kind, "config": config, "secret": secret}
        self.connections[tenant, name] = made | {"made_by": by, "made_at": "2026-01-01T12:00:00+00:00"}
        return self.connections[tenant, name]

    async def list_connections(self, tenant: str | None) -> list[dict[str, Any]]:
        return [made for (whose, _), made in self.connections.items() if whose == tenant]

    async def delete_connection(self, tenant: str | None, name: str, *, by: str) -> None:
        if self.connections.pop((tenant, name), None) is None:
            raise NotFound("There is no such connection.")

    async def publish(self, *, tenant: str, agent: str, version: str, model: str, tools: Any, by: str) -> None:
        self.published.append(version)

    async def decide(self, *, tenant: str, key: str, hash: str, approve: bool, by: str) -> None:  # noqa: A002
        if key in self.decided:
            raise Conflict("It was decided.", code="already_decided")
        self.decided[key] = approve

    async def usage(self, tenant: str | None, *, run: str | None = None, since: int = 0) -> dict[str, Any]:
        return {"rows": [], "kinds": {}, "total": {"count": 1, "tokens_in": 3, "tokens_out": 2}}

    async def audit(
        self, tenant: str | None, *, after: int = 0, limit: int = 500, **wanted: str | int
    ) -> list[dict[str, Any]]:
        return []

    async def audit_lines(self, tenant: str | None, *, after: int, until: int, limit: int) -> list[dict[str, Any]]:
        return []

    async def audit_head(self, tenant: str | None, *, stores: Any, heads: Any, every: bool = False) -> dict[str, Any]:
        ends = [{"store": "database", **head} for head in heads]
        whose = "*" if every else tenant or ""
        body = export_body(
            at=0,
            tenant=whose,
            stores=stores,
            heads=[Head(**end) for end in ends],
            anchor=None,
            key=self.signing.verify_key.encode().hex(),
            faults=[],
        )
        return {"line": signed_line(body, self.signing.sign(canonical(body)).signature.hex()), "heads": []}

    async def audit_known(self) -> dict[str, Any]:
        return {"at": None, "heads": []}

    async def audit_anchor(self, *, heads: Any, seen: Any, accepted: str = "") -> dict[str, Any]:
        return {"number": 1, "at": 0, "line": "", "faults": [], "place": "", "missing_since": None}

    async def audit_key(self) -> str:
        return self.signing.verify_key.encode().hex()

    async def tenant_key(self, tenant: str | None) -> str:
        return PrivateKey(hashlib.sha256(f"{tenant}".encode()).digest()).public_key.encode().hex()

    async def open_texts(self, tenant: str | None, sealed: list[bytes]) -> list[dict[str, Any]]:
        opener = SealedBox(PrivateKey(hashlib.sha256(f"{tenant}".encode()).digest()))
        return [json.loads(opener.decrypt(box)) for box in sealed]

    async def verify_audit(self) -> dict[str, Any]:
        return {"ok": True, "count": 0, "heads": [], "faults": []}

    async def verify_webhook(self, tenant: str, secret: str, headers: dict[str, str], body: bytes) -> None:
        if not self.signed:
            raise Denied("Its signature is not right.", code="bad_signature", status=401)

    async def send_mail(self, *, to: str, subject: str, text: str, key: str, decoy: bool = False) -> None:
        self.mails.append({"to": to, "subject": subject, "text": text, "key": key, "decoy": decoy})

    async def switches(self, tenant: str | None) -> dict[str, Any]:
        return {"here": self._effects(tenant), "platform": self._effects(None), "in_flight": 0}

    async def pause_effects(self, tenant: str | None, *, paused: bool, by: str) -> dict[str, Any]:
        if paused:
            self.paused.setdefault(tenant, by)
        else:
            self.paused.pop(tenant, None)
        return await self.switches(tenant)

    async def erase(self, tenant: str, *, by: str) -> dict[str, Any]:
        if tenant not in self.erased:
            self.erased.append(tenant)
        return {"at": "2026-01-01T12:00:00+00:00", "rows": {"tenant_keys": 1}}

    def _effects(self, tenant: str | None) -> dict[str, Any]:
        by = self.paused.get(tenant, "")
        return {"paused": bool(by), "since": "2026-01-01T12:00:00+00:00" if by else None, "by": by}

    async def health(self) -> dict[str, Any]:
        return {"ok": True, "mail": self.mail}


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
            made = creating.create(platform, slug=slug, name="", ids=self.state.ids, **told)
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

    def ask(self, tenant: Tenant, run: str) -> Approval:
        """Start the run and park it with a question."""
        self.move(tenant, run, RunEvent.START)
        approval = Approval(
            id=self.state.ids("apr"),
            run=run,
            agent="agt_1",
            key=f"{run}/1/1/1",
            call="call_1",
            connection="sandbox",
            operation="delete_file",
            arguments={"path": "a.txt"},
            hash=digest({"connection": "sandbox", "operation": "delete_file", "arguments": {"path": "a.txt"}}),
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
async def served(web: Web, key: str | None = OPERATOR) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the application served on a real socket, in this loop, its tail following."""
    listener = socket.create_server(("127.0.0.1", 0))
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
