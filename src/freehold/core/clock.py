"""The clock is handed in, so that tests decide what time it is."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits. Production has one; tests have one they wind by hand."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        ...

    def ticks(self) -> int:
        """Return nanoseconds since some moment; unlike the time of day they never run backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` have passed."""
        ...
