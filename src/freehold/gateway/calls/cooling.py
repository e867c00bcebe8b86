"""
Cooling down: a route that failed is left alone for a while, and longer each time it fails again.

A route is a provider's account and a model there: another key of the same provider may have room when one has none.
"""

from datetime import datetime, timedelta
from typing import Final, final

FIRST: Final = 1.0
LONGEST: Final = 60.0
FORGOTTEN: Final = 600.0
"""Seconds of peace after which a failure starts anew."""

Place = tuple[str, str, str, str]
"""Owner, connection, name of its secret, model."""


@final
class Cooling:
    """Which routes are to be left alone until when; remembered until the next start."""

    def __init__(self) -> None:
        self._until: dict[Place, datetime] = {}
        self._seconds: dict[Place, float] = {}

    def since(self, place: Place, at: datetime) -> float:
        """Return for how many seconds more a route is to be left alone; 0 if it may be tried."""
        until = self._until.get(place)
        return max((until - at).total_seconds(), 0.0) if until is not None else 0.0

    def failed(self, place: Place, at: datetime, *, after: float = 0.0) -> None:
        """Leave a route alone for `after` seconds where its provider said so, or for twice as long as the last time."""
        before = self._until.get(place)
        if before is not None and (at - before).total_seconds() > FORGOTTEN:
            self._seconds.pop(place, None)
        seconds = min(self._seconds.get(place, FIRST / 2) * 2, LONGEST)
        self._seconds[place] = seconds
        self._until[place] = at + timedelta(seconds=max(seconds, after))

    def answered(self, place: Place) -> None:
        """Forget that a route ever failed."""
        if self._until:
            self._until.pop(place, None)
            self._seconds.pop(place, None)
