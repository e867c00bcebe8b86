"""
Connections to MCP servers: what they can do is what the server lists, and each call is held to what was listed.

Sessions are kept for a while, each for one tenant and one credential, because every handshake is three requests. A
tool that says something else than the version was granted is not called.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

from typing_extensions import override

from freehold.audit.canonical import digest
from freehold.core.clock import Clock
from freehold.core.effects import EffectKind
from freehold.core.errors import Denied, Exhausted, FreeholdError, Invalid, Unavailable
from freehold.core.tools import Tool
from freehold.drivers.connector.mcp import told
from freehold.drivers.connector.mcp.session import Gone, Session
from freehold.gateway.outward.client import Client
from freehold.gateway.ports import ConnectorCall, Credential, Discovering, NotSent, Reached
from freehold.gateway.requesting import checking

log = logging.getLogger(__name__)

SECONDS: Final = 120.0
IDLE_SECONDS: Final = 600.0
"""How long a session is kept that nobody uses, and how long a listing is believed."""
SWEEP_SECONDS: Final = 60.0
ENDING_SECONDS: Final = 5.0
MOST_SESSIONS: Final = 256


@dataclass(slots=True)
class _Kept:
    """A session between two calls."""

    session: Session
    used: int
    listed: int = 0
    tools: Mapping[str, Tool] = field(default_factory=dict)


@final
class Mcp(Discovering):
    """Calls the tools of MCP servers."""

    kind = "mcp"
    replies = False

    def __init__(self, client: Client, clock: Clock, *, seconds: float = SECONDS) -> None:
        """Talk through `client`, and give up on a server after `seconds`."""
        self._client, self._clock, self._seconds = client, clock, seconds
        self._kept: dict[str, _Kept] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    @override
    def check(self, config: Mapping[str, Any], credential: Credential) -> None:
        checking.check(config, credential)

    @override
    def tools(self, config: Mapping[str, Any]) -> Sequence[Tool]:
        return ()

    @override
    def idempotent(self, config: Mapping[str, Any]) -> bool:
        return False

    @override
    async def discover(self, to: Reached, document: Mapping[str, Any] | None) -> Sequence[Tool]:
        if document is not None:
            raise Invalid(
                "An MCP server tells for itself what it can do.",
                code="bad_document",
                remedy="Ask it without a document.",
            )
        try:
            async with asyncio.timeout(self._seconds):
                kept = await self._ready(to, anew=True)
        except TimeoutError as error:
            raise _silent(sent=True) from error
        return tuple(kept.tools.values())

    @override
    async def perform(self, call: ConnectorCall) -> dict[str, Any]:
        left = False

        def sent() -> None:
            nonlocal left
            left = True
            call.sent()

        try:
            async with asyncio.timeout(self._seconds):
                return await self._performed(call, sent)
        except TimeoutError as error:
            raise _silent(sent=left) from error
        except Exhausted as error:
            raise _outsize(call.tool, error) from error

    async def close(self) -> None:
        """End all sessions."""
        for key in list(self._kept):
            self._end(key)
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._ending:
            await asyncio.wait(self._ending)

    async def _performed(self, call: ConnectorCall, sent: Any) -> dict[str, Any]:
        for _ in range(2):
            kept = await self._before(call.to)
            tool = str(call.tool.how.get("tool", call.tool.name))
            now = kept.tools.get(tool)
            if now is None or not told.same(now, call.tool):
                raise _changed(call.tool)
            try:
                return await kept.session.call(now, call.arguments, sent)
            except Gone:  # the server knew nothing of us, so it did nothing
                self._kept.pop(_key(call.to), None)
            except (Invalid, Denied):
                self._kept.pop(_key(call.to), None)  # some say no in this way to a session they forgot
                raise
        raise _unsteady()

    async def _before(self, to: Reached) -> _Kept:
        """Return a session and what it lists now; what goes wrong here goes wrong before anything is done."""
        try:
            return await self._ready(to)
        except Unavailable as error:
            raise NotSent(error.message, code=error.code, remedy=error.remedy, after=error.after) from error
        except Exhausted as error:
            raise Invalid(error.message, code=error.code, remedy="Have the server list less at once.") from error

    async def _ready(self, to: Reached, *, anew: bool = False) -> _Kept:
        self._sweep()
        key = _key(to)
        async with self._locks.setdefault(key, asyncio.Lock()):
            for _ in range(2):
                try:
                    kept = self._kept.get(key) or await self._open(to)
                    kept.used = self._clock.ticks()
                    if anew or kept.session.changed or not kept.listed or self._old(kept.listed):
                        kept.tools = told.tools_of(await kept.session.tools())
                        kept.listed = self._clock.ticks() or 1
                except Gone:
                    self._kept.pop(key, None)
                    continue
                self._keep(key, kept)
                return kept
        raise _unsteady()

    async def _open(self, to: Reached) -> _Kept:
        session = Session(self._client, to, self._clock.sleep)
        await session.open()
        return _Kept(session, self._clock.ticks())

    def _keep(self, key: str, kept: _Kept) -> None:
        self._kept[key] = kept
        if len(self._kept) > MOST_SESSIONS:
            self._end(min(self._kept, key=lambda one: self._kept[one].used))
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep_again)

    def _sweep_again(self) -> None:
        self._sweeping = None
        self._sweep()
        if self._kept:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep_again)

    def _sweep(self) -> None:
        for key in [key for key, kept in self._kept.items() if self._old(kept.used)]:
            self._end(key)
        for key in [key for key, lock in self._locks.items() if key not in self._kept and not lock.locked()]:
            del self._locks[key]

    def _old(self, ticks: int) -> bool:
        return self._clock.ticks() - ticks > IDLE_SECONDS * 1_000_000_000

    def _end(self, key: str) -> None:
        task = asyncio.get_running_loop().create_task(_ended(self._kept.pop(key).session.end()))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _ended(ending: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            await ending
    except (FreeholdError, TimeoutError):
        log.info("An MCP server could not be told that its session is over; it finds out for itself.")


def _key(to: Reached) -> str:
    """Return what sessions are told apart by: never two tenants, two credentials or two addresses in one."""
    whole = [to.behalf.tenant, to.behalf.operators, to.owner, to.name, dict(to.config), to.credential.reveal()]
    return digest(whole)


def _changed(tool: Tool) -> Denied:
    return Denied(
        f"The MCP server tells something else of {tool.name!r} than this version was granted.",
        code="tool_changed",
        remedy="Look at it with `freehold connection tools NAME --refresh`, and make a new version of the agent.",
    )


def _outsize(tool: Tool, error: Exhausted) -> FreeholdError:
    """Return what an answer means that is too large: nothing was done by what only reads, else nobody knows."""
    if tool.kind is EffectKind.READ:
        return Invalid(error.message, code=error.code, remedy=error.remedy)
    return Unavailable(error.message, code=error.code, remedy=error.remedy)


def _silent(*, sent: bool) -> Unavailable:
    said = "The MCP server did not answer in time."
    return Unavailable(said, code="mcp_timeout") if sent else NotSent(said, code="mcp_timeout")


def _unsteady() -> NotSent:
    return NotSent("The MCP server forgets each session at once.", code="mcp_failed", after=30.0)
