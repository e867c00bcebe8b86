"""The bubblewrap runtime as a worker sees it, whether it makes sandboxes itself or asks the spawner."""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol, final

from typing_extensions import override

from freehold.core.errors import FreeholdError, Unavailable
from freehold.drivers.runtime.bwrap.checks import look_at_host
from freehold.drivers.runtime.bwrap.making import Maker, OnEnd
from freehold.sandboxes.guest import LineGuest
from freehold.sandboxes.line import Line
from freehold.sandboxes.runtime import Finding, Guest, RuntimeDriver, SandboxSpec, Sighting

WHY_SECONDS = 1.0


class Making(Protocol):
    """Somebody who makes sandboxes."""

    async def wake(self, spec: SandboxSpec, ended: OnEnd) -> socket.socket:
        """Start a sandbox; `ended` is told, in any thread, why it ended."""
        ...

    async def sleep(self, sandbox: str) -> None:
        """End one."""
        ...

    async def destroy(self, tenant: str, workspace: str) -> None:
        """Remove a workspace."""
        ...

    async def look(self) -> list[Sighting]:
        """Return what is awake."""
        ...

    async def check(self) -> list[Finding]:
        """Return what is missing or wrong."""
        ...

    async def close(self) -> None:
        """End everything."""
        ...


@final
class OwnMaking(Making):
    """Makes sandboxes in this process, in threads, since making one blocks for some milliseconds."""

    def __init__(self, maker: Maker) -> None:
        """Make them with `maker`."""
        self._maker = maker

    @override
    async def wake(self, spec: SandboxSpec, ended: OnEnd) -> socket.socket:
        return await asyncio.to_thread(self._maker.wake, spec, ended)

    @override
    async def sleep(self, sandbox: str) -> None:
        await asyncio.to_thread(self._maker.sleep, sandbox)

    @override
    async def destroy(self, tenant: str, workspace: str) -> None:
        await asyncio.to_thread(self._maker.destroy, tenant, workspace)

    @override
    async def look(self) -> list[Sighting]:
        return self._maker.look()

    @override
    async def check(self) -> list[Finding]:
        return await asyncio.to_thread(look_at_host, limits_the_whole=self._maker.limits_the_whole)

    @override
    async def close(self) -> None:
        await asyncio.to_thread(self._maker.close)


class _Ending:
    """Why one sandbox ended, as soon as it is known."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._known = asyncio.Event()
        self._reason: FreeholdError | None = None

    def tell(self, reason: FreeholdError) -> None:
        """Say it, from any thread."""
        self._reason = reason
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._known.set)

    async def why(self) -> FreeholdError | None:
        """Return it; nothing when it does not come to be known soon."""
        try:
            async with asyncio.timeout(WHY_SECONDS):
                await self._known.wait()
        except TimeoutError:
            return None
        return self._reason


@final
class BwrapRuntime(RuntimeDriver):
    """Sandboxes made with bubblewrap."""

    name = "bwrap"
    boxes = True

    def __init__(self, making: Making) -> None:
        """Have them made by `making`."""
        self._making = making
        self._guests: dict[str, LineGuest] = {}
        self._ends: set[asyncio.Task[None]] = set()

    @override
    async def wake(self, spec: SandboxSpec) -> Guest:
        await self.sleep(spec.id)
        ending = _Ending()
        end = await self._making.wake(spec, ending.tell)
        try:
            line = await Line.over(end, why=ending.why, gone=self._when_gone(spec.id))
        except FreeholdError as error:
            await self._making.sleep(spec.id)
            raise Unavailable(
                f"The sandbox could not be made. {error}", code="runtime_missing", remedy="See `freehold doctor`."
            ) from error
        except BaseException:
            await self._making.sleep(spec.id)
            raise
        guest = self._guests[spec.id] = LineGuest(line)
        return guest

    @override
    async def sleep(self, sandbox: str) -> None:
        guest = self._guests.pop(sandbox, None)
        if guest is not None:
            await guest.close()
        await self._making.sleep(sandbox)

    @override
    async def destroy(self, *, tenant: str, workspace: str) -> None:
        await self._making.destroy(tenant, workspace)

    @override
    async def look(self) -> list[Sighting]:
        return await self._making.look()

    @override
    async def check(self) -> list[Finding]:
        return await self._making.check()

    @override
    async def close(self) -> None:
        for sandbox in list(self._guests):
            await self.sleep(sandbox)
        await asyncio.gather(*self._ends, return_exceptions=True)
        await self._making.close()

    def _when_gone(self, sandbox: str) -> Callable[[], None]:
        """Return what ends the sandbox once its line is cut: a hostile guest does not end by itself."""

        def gone() -> None:
            if self._guests.pop(sandbox, None) is not None:
                task = asyncio.get_running_loop().create_task(self._making.sleep(sandbox))
                self._ends.add(task)
                task.add_done_callback(self._ends.discard)

        return gone
