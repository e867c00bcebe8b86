"""A gateway process of a test's own that can die, and the two ways to it, which wait while it is away."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from freehold.app.clock import SystemClock
from freehold.core.errors import FreeholdError
from freehold.gateway.client import WebGateway, WorkerGateway
from tests.gateways import running

SERVE = """
import sys
from freehold.app import gateway
from freehold.settings import Settings
stated = dict(FREEHOLD_TEST="1", FREEHOLD_REHEARSAL="1", FREEHOLD_DATA=sys.argv[1], FREEHOLD_FAILPOINT=sys.argv[2])
gateway.main(Settings.read(stated))
"""
UP_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Mortal:
    """The ways to a gateway that comes and goes."""

    data: Path
    web: WebGateway = field(init=False)
    worker: WorkerGateway = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "web", WebGateway(self.data / "run/gateway-web.sock"))
        object.__setattr__(self, "worker", WorkerGateway(self.data / "run/gateway-worker.sock"))

    @asynccontextmanager
    async def immortal(self) -> AsyncIterator[None]:
        """Run a gateway in this process, which takes a tenth of the time: to prepare what others are to find."""
        async with running(self.data, SystemClock()):
            yield

    @asynccontextmanager
    async def gateway(self, failpoint: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a gateway process until the block ends, or it died."""
        process = await self.begin(failpoint)
        try:
            async with asyncio.timeout(UP_SECONDS):
                await self._up()
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def begin(self, failpoint: str = "") -> asyncio.subprocess.Process:
        """Start a gateway process."""
        return await asyncio.create_subprocess_exec(sys.executable, "-c", SERVE, str(self.data), failpoint)

    async def close(self) -> None:
        """Let go of the ways."""
        await self.web.close()
        await self.worker.close()

    async def _up(self) -> None:
        while True:
            try:
                await self.web.health()
                break
            except FreeholdError:
                await asyncio.sleep(0.02)
