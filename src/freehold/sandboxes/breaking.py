"""Sandboxes that die where a failpoint says so: `sandbox:POINT:COUNT`, counted over commands. For tests alone."""

import asyncio
from collections.abc import Sequence
from typing import Final, final

from typing_extensions import override

from freehold.failpoints import reached
from freehold.sandboxes.runtime import (
    DEFAULT_CAP,
    DEFAULT_TIMEOUT,
    Ended,
    Entry,
    Finding,
    Guest,
    OnOutput,
    Port,
    RuntimeDriver,
    SandboxSpec,
    Sighting,
    Stream,
)

UNDER_WAY: Final = 0.05
"""Seconds after which a command that was sent has surely begun."""
AFTERWARDS: Final = (("stored", 0.05), ("acknowledged", 0.5))
"""What comes after a command's end happens outside of the sandbox; it dies about then."""


@final
class BreakingRuntime(RuntimeDriver):
    """A driver whose sandboxes may die."""

    def __init__(self, driver: RuntimeDriver) -> None:
        """Make sandboxes with `driver`."""
        self._driver = driver
        self.name, self.boxes = driver.name, driver.boxes
        self._deaths: set[asyncio.Task[None]] = set()

    @override
    async def wake(self, spec: SandboxSpec) -> Guest:
        return _BreakingGuest(await self._driver.wake(spec), self, spec.id)

    @override
    async def sleep(self, sandbox: str) -> None:
        await self._driver.sleep(sandbox)

    @override
    async def destroy(self, *, tenant: str, workspace: str) -> None:
        await self._driver.destroy(tenant=tenant, workspace=workspace)

    @override
    async def look(self) -> list[Sighting]:
        return await self._driver.look()

    @override
    async def check(self) -> list[Finding]:
        return await self._driver.check()

    @override
    async def close(self) -> None:
        await self._driver.close()

    def end_later(self, sandbox: str, seconds: float) -> None:
        """End a sandbox after some time."""

        async def end() -> None:
            await asyncio.sleep(seconds)
            await self._driver.sleep(sandbox)

        task = asyncio.create_task(end())
        self._deaths.add(task)
        task.add_done_callback(self._deaths.discard)


@final
class _BreakingGuest(Guest):
    def __init__(self, guest: Guest, runtime: BreakingRuntime, sandbox: str) -> None:
        self._guest, self._runtime, self._sandbox = guest, runtime, sandbox

    @override
    async def run(
        self,
        argv: Sequence[str],
        *,
        key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        stdin: bytes = b"",
        cap: int = DEFAULT_CAP,
        tty: bool = False,
        on_output: OnOutput | None = None,
    ) -> Ended:
        if reached("sandbox", "intent"):
            await self._runtime.sleep(self._sandbox)
        if reached("sandbox", "sent"):
            self._runtime.end_later(self._sandbox, UNDER_WAY)
        ended = await self._guest.run(
            argv, key=key, timeout=timeout, stdin=stdin, cap=cap, tty=tty, on_output=on_output
        )
        if reached("sandbox", "answered"):
            await self._runtime.sleep(self._sandbox)
        for point, seconds in AFTERWARDS:
            if reached("sandbox", point):
                self._runtime.end_later(self._sandbox, seconds)
        return ended

    @override
    async def stream(self, target: Sequence[str] | Port) -> Stream:
        return await self._guest.stream(target)

    @override
    async def read_file(self, path: str, *, cap: int = DEFAULT_CAP) -> bytes:
        return await self._guest.read_file(path, cap=cap)

    @override
    async def write_file(self, path: str, data: bytes) -> None:
        await self._guest.write_file(path, data)

    @override
    async def list_files(self, path: str = ".") -> list[Entry]:
        return await self._guest.list_files(path)

    @override
    async def delete_file(self, path: str) -> None:
        await self._guest.delete_file(path)

    @override
    async def close(self) -> None:
        await self._guest.close()
