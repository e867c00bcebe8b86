"""
Telling the gateway which runs are over, so that it forgets what was said in them.

The end of every run, whoever ended it, is an event; so the ends are read where all events are, some seconds after
they were committed and many at once. After a start it is looked back a while; what is missed even so, the gateway
forgets by itself after some days.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, final

from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError
from freehold.core.runs import FINAL
from freehold.store.looking import Look
from freehold.store.scope import Store
from freehold.store.threads import in_thread

log = logging.getLogger(__name__)

EVERY: Final = 5.0
"""Seconds between two looks."""
AT_ONCE: Final = 500
LOOKED_BACK: Final = 5_000
"""Events before our start that are looked at again."""
_ENDS: Final = frozenset(f"run.{state}" for state in FINAL)

Tell = Callable[[Sequence[tuple[str, str]]], Awaitable[None]]


@final
class Forgetting:
    """Tells of the runs of one database."""

    def __init__(self, store: Store, tell: Tell, clock: Clock) -> None:
        """Read in `store` and `tell` the gateway which runs (tenant, run) are over."""
        self._store, self._tell, self._clock = store, tell, clock
        self._behind: int | None = None

    async def watch(self) -> None:
        """Look every so many seconds where something was committed; runs until cancelled."""
        look = Look(self._store.database, self._clock)
        look.again()
        while True:
            await self._clock.sleep(EVERY)
            if look.due():
                await self.look()

    async def look(self) -> None:
        """Tell of all that ended since the last look."""
        try:
            while await self._some():
                pass
        except FreeholdError as error:
            log.warning("The gateway could not be told which runs are over, and is told later: %s", error.message)

    async def _some(self) -> bool:
        """Tell of the next ends and return whether there may be more."""
        behind, ended, last = await in_thread(self._next)
        if ended:
            await self._tell(ended)
        self._behind = last
        return last > behind

    def _next(self) -> tuple[int, list[tuple[str, str]], int]:
        with self._store.read() as platform:
            behind = max(0, platform.last_position() - LOOKED_BACK) if self._behind is None else self._behind
            events = platform.events_behind(behind, limit=AT_ONCE)
        ended = [(str(event["tenant"]), str(event["run"])) for event in events if event["type"] in _ENDS]
        return behind, ended, max([behind, *(int(event["position"]) for event in events)])
