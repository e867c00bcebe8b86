"""A runtime that makes nothing: for tests of what asks for sandboxes, not of what runs in them."""

import asyncio
from collections.abc import Sequence
from typing import final

from typing_extensions import override

from freehold.core.errors import FreeholdError, NotFound, Unavailable
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


class QuietGuest(Guest):
    """Says that every command went well, and keeps files in memory."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.files: dict[str, bytes] = {}
        self.commands: list[list[str]] = []
        self.dead = False

    def _check(self) -> None:
        if self.dead:
            raise Unavailable("The sandbox ended.", code="sandbox_died", after=0.0)

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
        self._check()
        self.commands.append(list(argv))
        return Ended(exit=0, stdout=b"", stderr=b"")

    @override
    async def stream(self, target: Sequence[str] | Port) -> Stream:
        self._check()
        return _Echo()

    @override
    async def read_file(self, path: str, *, cap: int = DEFAULT_CAP) -> bytes:
        self._check()
        if path not in self.files:
            raise NotFound(f"{path}: no such file.", code="no_such_file")
        return self.files[path][:cap]

    @override
    async def write_file(self, path: str, data: bytes) -> None:
        self._check()
        self.files[path] = data

    @override
    async def list_files(self, path: str = ".") -> list[Entry]:
        self._check()
        return [Entry(name=name, kind="file", size=len(data)) for name, data in sorted(self.files.items())]

    @override
    async def delete_file(self, path: str) -> None:
        self._check()
        if self.files.pop(path, None) is None:
            raise NotFound(f"{path}: no such file.", code="no_such_file")

    @override
    async def close(self) -> None:
        self.dead = True


@final
class _Echo(Stream):
    """Gives back what it is given."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    @override
    async def read(self) -> bytes:
        return await self._queue.get()

    @override
    async def write(self, data: bytes) -> None:
        self._queue.put_nowait(data)

    @override
    async def finish(self) -> None:
        self._queue.put_nowait(b"")

    @override
    async def close(self) -> None:
        self._queue.put_nowait(b"")


@final
class MemoryRuntime(RuntimeDriver):
    """Remembers what was asked of it."""

    name = "memory"

    def __init__(self) -> None:
        """Have nothing awake."""
        self.woken: list[SandboxSpec] = []
        self.refuse: FreeholdError | None = None
        """What the next wakes fail with."""
        self.stuck: FreeholdError | None = None
        """What putting one to sleep fails with."""
        self.next_guest: QuietGuest | None = None
        """The guest of the next wake."""
        self._awake: dict[str, tuple[SandboxSpec, QuietGuest]] = {}
        self._may_wake = asyncio.Event()
        self._may_wake.set()
        self._may_sleep = asyncio.Event()
        self._may_sleep.set()

    def hold_sleeps(self) -> None:
        """Let going to sleep take until `let_sleep`."""
        self._may_sleep.clear()

    def let_sleep(self) -> None:
        """Let it come to its end."""
        self._may_sleep.set()

    def hold_wakes(self) -> None:
        """Let wakes take until `let_wake`."""
        self._may_wake.clear()

    def let_wake(self) -> None:
        """Let them come to their end."""
        self._may_wake.set()

    def kill_all(self) -> None:
        """End every sandbox, as a crash would."""
        for _, guest in self._awake.values():
            guest.dead = True
        self._awake.clear()

    @override
    async def wake(self, spec: SandboxSpec) -> Guest:
        if self.refuse is not None:
            raise self.refuse
        self.woken.append(spec)
        await self._may_wake.wait()
        guest, self.next_guest = self.next_guest or QuietGuest(), None
        self._awake[spec.id] = (spec, guest)
        return guest

    @override
    async def sleep(self, sandbox: str) -> None:
        await self._may_sleep.wait()
        if self.stuck is not None:
            raise self.stuck
        awake = self._awake.pop(sandbox, None)
        if awake is not None:
            awake[1].dead = True

    @override
    async def destroy(self, *, tenant: str, workspace: str) -> None:
        for spec, _ in list(self._awake.values()):
            if (spec.tenant, spec.workspace) == (tenant, workspace):
                await self.sleep(spec.id)

    @override
    async def look(self) -> list[Sighting]:
        return [Sighting(id=spec.id, tenant=spec.tenant) for spec, _ in self._awake.values()]

    @override
    async def check(self) -> list[Finding]:
        return []

    @override
    async def close(self) -> None:
        self.kill_all()
