"""
Open streams, and that they end with what they were opened by.

A session, a key, a role or a tenant that is put out of force in this process ends its streams before the call that did
it returns. What other processes did, or somebody with the database in hand, is seen within a second: for as long as
there are streams, it is looked at every second whether each would be opened again.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, final

from freehold.core.clock import Clock
from freehold.core.errors import Denied, FreeholdError
from freehold.core.tenants import Caller
from freehold.store.scope import Store
from freehold.store.threads import in_thread
from freehold.tenants.caller import UNAUTHENTICATED, Known
from freehold.tenants.recalling import lost
from freehold.web.tail import Tail, Watch

log = logging.getLogger(__name__)

LOOK: Final = 0.8
"""Seconds between two looks."""
CLOSING: Final = 2.0
"""Seconds for which whoever ends streams waits for them: a client that does not read must not hold anybody up."""


@dataclass(eq=False, slots=True, kw_only=True)
class Open:
    """A stream that somebody listens to."""

    caller: Caller
    tenant: str
    watch: Watch
    closed: asyncio.Event = field(default_factory=asyncio.Event)


@final
class Streams:
    """All streams of this process."""

    def __init__(self, store: Store, tail: Tail, *, known: Known, clock: Clock) -> None:
        """Follow `tail`, and look into `store` whether callers are still who they were."""
        self._store, self._tail, self._known, self._clock = store, tail, known, clock
        self._open: set[Open] = set()
        self._some = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def of(self, caller: Caller, tenant: str) -> "Listening":
        """Return the tail as `caller` may follow it in `tenant`, for as long as they may."""
        return Listening(self, caller, tenant)

    def end(
        self,
        *,
        session: str = "",
        sessions: Iterable[str] | None = None,
        key: str = "",
        keys: Iterable[str] | None = None,
        person: str = "",
        tenant: str = "",
    ) -> None:
        """
        End the streams of whoever is named; with `tenant` as well, only those in that tenant.

        Call it once what put them out of force is committed, from a route in a thread or from the loop. In a thread it
        returns when they are closed.
        """
        gone = frozenset(sessions or ()) | ({session} if session else frozenset())
        out = frozenset(keys or ()) | ({key} if key else frozenset())
        listed = sessions is not None or keys is not None  # none of them at all are not all of a tenant
        named = listed or bool(session or key or person)

        def meant(one: Open) -> bool:
            who = one.caller
            theirs = who.session in gone or who.key in out or (person and who.person == person)
            return bool(theirs or not named) and (not tenant or one.tenant == tenant)

        loop = self._loop
        if not (named or tenant) or loop is None or loop.is_closed():
            return
        if _here(loop):
            self._revoke(meant)
            return
        with contextlib.suppress(
            RuntimeError, TimeoutError
        ):  # the loop has closed meanwhile, or a client does not read
            asyncio.run_coroutine_threadsafe(self._ended(meant), loop).result(CLOSING)

    async def follow(self) -> None:
        """Look after the streams until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            await asyncio.sleep(LOOK)
            try:
                await self.look()
            except FreeholdError as error:
                log.warning("Who listens cannot be looked at: %s", error.message)
            except Exception:
                log.exception("Looking after the streams broke; it goes on.")

    async def look(self) -> None:
        """End the streams of those who would not be let in any more."""
        streams = list(self._open)
        if not streams:
            return
        asked = [(stream.caller, stream.tenant) for stream in streams]
        gone = {stream for stream, over in zip(streams, await in_thread(self._lost, asked), strict=True) if over}
        self._revoke(lambda stream: stream in gone)

    @contextlib.asynccontextmanager
    async def watch(self, caller: Caller, tenant: str, run: str) -> AsyncIterator[Watch]:
        """Give what happens in `run` for as long as `caller` may know."""
        self._loop = asyncio.get_running_loop()
        async with self._tail.watch(run) as watch:
            stream = Open(caller=caller, tenant=tenant, watch=watch)
            self._open.add(stream)
            self._some.set()
            try:
                yield watch
            finally:
                self._open.discard(stream)
                stream.closed.set()
                if not self._open:
                    self._some.clear()

    def _revoke(self, meant: Callable[[Open], bool]) -> list[Open]:
        ending = [stream for stream in self._open if meant(stream)]
        for stream in ending:
            stream.watch.revoke()
        return ending

    async def _ended(self, meant: Callable[[Open], bool]) -> None:
        ending = self._revoke(meant)
        await asyncio.gather(*(stream.closed.wait() for stream in ending))

    def _lost(self, asked: list[tuple[Caller, str]]) -> list[bool]:
        with self._store.read() as platform:
            return list(lost(platform, asked, known=self._known, at=self._clock.now()))


@final
class Listening:
    """The tail, as one caller may follow it in one tenant."""

    def __init__(self, streams: Streams, caller: Caller, tenant: str) -> None:
        """Follow through `streams`."""
        self._streams, self._caller, self._tenant = streams, caller, tenant

    def watch(self, run: str) -> contextlib.AbstractAsyncContextManager[Watch]:
        """Give what happens in `run`; as `Tail.watch`."""
        return self._streams.watch(self._caller, self._tenant, run)


def put_out() -> Denied:
    """Return what somebody is told whose session, key or role ended while they waited."""
    return Denied(
        "What you came with is not in force any more.",
        code="access_ended",
        status=UNAUTHENTICATED,
        remedy="Sign in again, or use a key that is in force.",
    )


def _here(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether this is called from within `loop`, which must not wait for itself."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
