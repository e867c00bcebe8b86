"""A clock that tests wind by hand."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final, final

from typing_extensions import override

from freehold.core.clock import Clock

START: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


@final
class FakeClock(Clock):
    """Stands still until it is wound; `sleep` winds it and lets others go on."""

    def __init__(self, at: datetime = START) -> None:
        """Stand at `at`."""
        self._at = at
        self._ticks = 0

    @override
    def now(self) -> datetime:
        return self._at

    @override
    def ticks(self) -> int:
        return self._ticks

    @override
    async def sleep(self, seconds: float) -> None:
        self.wind(seconds)
        await asyncio.sleep(0)

    def wind(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self._at += timedelta(seconds=seconds)
        self._ticks += max(0, int(seconds * 1_000_000_000))
