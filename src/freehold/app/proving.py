"""
`freehold sandbox prove`: wakes a tenant's sandboxes as real ones are woken, and shows what a program in them can see.

It needs nobody's word: it has sandboxes made by the same spawner and listened for by the same gateway as a worker does,
looks from inside, and hands all it saw to the gateway, which alone knows what a secret looks like and tells names only.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, final

import msgspec

from freehold.app.clock import SystemClock
from freehold.app.probing import ARGV, Sight, look
from freehold.app.runtime import most, open_runtime
from freehold.app.users import apart
from freehold.core.agents import Agent
from freehold.core.errors import Denied, Invalid
from freehold.core.ids import Ids
from freehold.core.tenants import Tenant
from freehold.gateway.client import WebGateway, Work, WorkerGateway
from freehold.sandboxes.allowing import ByTier
from freehold.sandboxes.waking import Sandboxes
from freehold.settings import Settings
from freehold.store.db import Database, sqlite_address
from freehold.store.scope import Store

AT_ONCE: Final = 4 << 20
"""Bytes handed to the gateway in one question."""
OVERLAP: Final = 4096
"""Bytes by which the parts of one thing overlap, so that what is cut in two is in one of them."""
TRIED: Final = 64
ELSEWHERE: Final = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/systemd/private",
)
BY: Final = "platform"


def prove(settings: Settings, tenant: str, *, agent: str | None, whole: bool) -> dict[str, Any]:
    """
    Look into a sandbox of each agent of a tenant (or of one), and return what was found.

    `whole` looks at what this host's packages installed too. Raises `Unavailable` where the platform does not run.
    """
    if settings.runtime != "bwrap":
        raise Invalid(
            f"The {settings.runtime} runtime isolates nothing, so there is nothing to prove.",
            code="no_isolation",
            remedy="Install bubblewrap and unset FREEHOLD_RUNTIME.",
        )
    return asyncio.run(_prove(settings, tenant, agent=agent, whole=whole))


async def _prove(settings: Settings, tenant: str, *, agent: str | None, whole: bool) -> dict[str, Any]:
    settings = _as_started(settings)
    async with _gateway(settings) as (web, worker):
        await web.health()  # before the database is touched: without a platform there is nothing to look at
        database = Database(settings.database or sqlite_address(settings.data / "freehold.db"))
        try:
            store = Store(database)
            found, agents = _whose(store, tenant, agent)
            proof = _Proof(settings, store, web, worker)
            sights = [await proof.look(found, one, whole=whole) for one in agents]
        finally:
            database.close()
    return proof.report(found, sights)


@final
class _Proof:
    """One proof under way."""

    def __init__(self, settings: Settings, store: Store, web: WebGateway, worker: WorkerGateway) -> None:
        self._settings, self._store, self._web, self._worker = settings, store, web, worker
        self._clock = SystemClock()
        self._ids = Ids(self._clock.now)
        self._found: list[dict[str, str]] = []
        self._looked_for, self._bytes = 0, 0
        self._too_short: set[str] = set()
        self._waiting: list[tuple[str, bytes]] = []

    async def look(self, tenant: Tenant, agent: Agent, *, whole: bool) -> Sight:
        """Return what a sandbox of `agent` shows."""
        seen = _Woken()
        sandboxes = Sandboxes(
            open_runtime(self._settings),
            new_id=self._ids,
            clock=self._clock,
            limits=ByTier(self._store, most(self._settings), self._clock),
            idle=self._settings.sandbox_idle,
            wakes=1,
            report=seen,
            boxes=self._worker,
            name="prove",
        )
        work = Work(tenant=tenant.id, agent=agent.id, version=agent.version, run=self._ids("run"), epoch=1)
        try:
            guest = await sandboxes.awake(work, tenant.uid)
            sight = Sight(agent=agent.name, sandbox=seen.sandbox)
            stream = await guest.stream(ARGV)
            question = {"whole": whole, **self._names(seen.sandbox)}

            async def take(where: str, data: bytes) -> None:
                await self._take(tenant.id, f"{agent.name}: {where}", data, subject=seen.sandbox)

            await look(stream, question, sight, take)
            await self._flush(tenant.id, subject=seen.sandbox)
            await stream.close()
        finally:
            await sandboxes.close()
        return sight

    def report(self, tenant: Tenant, sights: Sequence[Sight]) -> dict[str, Any]:
        """Return all that was found, and whether it is as it should be."""
        return {
            "tenant": tenant.id,
            "ok": not self._found and not any(sight.faults for sight in sights),
            "sandboxes": [sight.shown() for sight in sights],
            "secrets": {
                "looked_for": self._looked_for,
                "too_short": sorted(self._too_short),
                "bytes": self._bytes,
                "found": self._found,
            },
        }

    def _names(self, sandbox: str) -> dict[str, Any]:
        """Return what programs might try to reach: this host's own sockets and ports."""
        data = self._settings.data
        others = [path / "gateway.sock" for path in (data / "box").iterdir() if path.name != sandbox]
        files = [*sorted((data / "run").glob("*.sock")), *sorted(others)[:TRIED]]
        abstract = itertools.islice(_abstract(Path("/proc/net/unix").read_text(errors="replace").splitlines()), TRIED)
        port = int(self._settings.address.rpartition(":")[2])
        return {"sockets": [*map(str, files), *ELSEWHERE, *abstract], "ports": [port, 22, 5432]}

    async def _take(self, tenant: str, where: str, data: bytes, *, subject: str) -> None:
        self._bytes += len(data)
        for at in range(0, len(data), AT_ONCE - OVERLAP):
            self._waiting.append((where, data[at : at + AT_ONCE]))
            if sum(len(piece) for _, piece in self._waiting) >= AT_ONCE:
                await self._flush(tenant, subject=subject)

    async def _flush(self, tenant: str, *, subject: str) -> None:
        pieces, self._waiting = self._waiting, []
        told = await self._web.seek_secrets(tenant, pieces, subject=subject, by=BY)
        self._found += [one for one in told["found"] if one not in self._found]
        self._looked_for = max(self._looked_for, told["looked_for"])
        self._too_short.update(told["too_short"])


class _Woken:
    """Takes note of which sandbox was woken; what a proof uses is not the tenant's to pay."""

    def __init__(self) -> None:
        self.sandbox = ""

    async def __call__(self, work: Work, *, sandbox: str, wakes: int, awake_ms: int, memory_mb: int) -> None:
        self.sandbox = sandbox


@asynccontextmanager
async def _gateway(settings: Settings) -> AsyncIterator[tuple[WebGateway, WorkerGateway]]:
    run, user = settings.data / "run", settings.gateway_user
    web, worker = WebGateway(run / "gateway-web.sock", user=user), WorkerGateway(run / "gateway-worker.sock", user=user)
    try:
        yield web, worker
    finally:
        await web.close()
        await worker.close()


def _as_started(settings: Settings) -> Settings:
    """
    Return the settings as `freehold up` gives them to a worker, where it started this platform as root.

    Raises `Denied` for another user than the one who did: sandboxes that it made would be others, and their files too.
    """
    if settings.data.exists() and settings.data.stat().st_uid != os.geteuid():
        raise Denied(
            f"The platform over {settings.data} was started by another user.",
            code="another_user",
            remedy="Ask as the user who started it.",
        )
    if not (settings.data / "run" / "spawner.sock").exists():
        return settings
    return msgspec.structs.replace(settings, spawner=True, gateway_user=apart(settings).gateway.uid)


def _whose(store: Store, tenant: str, agent: str | None) -> tuple[Tenant, list[Agent]]:
    with store.read() as platform:
        found = platform.tenants.find(tenant)
    with store.tenant(found.id).read() as scope:
        agents = [scope.agents.find(agent)] if agent else scope.agents.page(limit=1000)
    if not agents:
        raise Invalid("This tenant has no agent, so it has no sandbox.", code="no_agents", remedy="Create one first.")
    return found, agents


def _abstract(lines: Iterable[str]) -> Iterable[str]:
    """Return the abstract sockets of this host by the names a program would give them."""
    for line in lines:
        name = line.split()[-1]
        if name.startswith("@"):
            yield "\0" + name[1:]
