"""The real clock. The only place where the program asks the machine for the time of day."""

import asyncio
import time
from datetime import UTC, datetime
from typing import final

from typing_extensions import override

from freehold.core.clock import Clock


@final
class SystemClock(Clock):
    """Tells this machine's time, to the millisecond, as the databases keep it."""

    @override
    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    @override
    def ticks(self) -> int:
        return time.monotonic_ns()

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
