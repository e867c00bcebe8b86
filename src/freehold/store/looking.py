"""
When to look for work: after a commit, whoever made it, and every few seconds in any case.

A duty that looks into the database for work asks first whether anything was committed since it last looked. That
costs microseconds and no thread; so it may ask often, and a platform where nothing happens rests.
"""

from typing import Final, final

from freehold.core.clock import Clock
from freehold.store.db import Database

SECONDS: Final = 10.0
"""After which a look is due though nothing was committed: the safety net, and what time of day makes due."""
_NANO: Final = 1_000_000_000


@final
class Look:
    """What one duty knows of when it last looked."""

    def __init__(self, database: Database, clock: Clock, *, seconds: float = SECONDS) -> None:
        """Look into `database` for what is committed, and every `seconds` by `clock`."""
        self._database, self._clock, self._quiet = database, clock, int(seconds * _NANO)
        self._seen: object = None
        self._until = 0
        self._first = True

    def due(self) -> bool:
        """Return whether a look is due; whoever is told so looks now."""
        seen, ticks = self._database.version(), self._clock.ticks()
        if not self._first and seen == self._seen and ticks < self._until:
            return False
        # Noted before the look: what is committed during it is seen by the next one.
        self._first, self._seen, self._until = False, seen, ticks + self._quiet
        return True

    def again(self) -> None:
        """Let a look be due at once: the last one broke or was not finished."""
        self._first = True

    def within(self, seconds: float) -> None:
        """Let a look be due after `seconds`, if that is sooner: something becomes due by then."""
        self._until = min(self._until, self._clock.ticks() + max(int(seconds * _NANO), 0))
