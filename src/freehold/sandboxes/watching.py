"""Watching a guest: when it was used last, whether it is at work, and whether it is still of use."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, final

from typing_extensions import override

from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError
from freehold.sandboxes.runtime import (
    DEFAULT_CAP,
    DEFAULT_TIMEOUT,
    Ended,
    Entry,
    Guest,
    OnOutput,
    Port,
    Stream,
)

DEAD: Final = frozenset({"sandbox_died", "workspace_full"})
"""Codes after which a sandbox may be gone; the next step that needs one gets a new one."""


@final
class Watched(Guest):
    """A guest that remembers when it was used last, and whether it is still of use."""

    def __init__(self, guest: Guest, clock: Clock) -> None:
        """Watch `guest`."""
        self._guest, self._clock = guest, clock
        self.used = clock.now()
        self.busy = 0
        self.dead = False

    @contextmanager
    def _use(self) -> Iterator[None]:
        self.busy += 1
        try:
            yield
        except FreeholdError as error:
            self.dead = self.dead or error.code in DEAD
            raise
        finally:
            self.busy -= 1
            self.used = self._clock.now()

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
        with self._use():
            return await self._guest.run(
                argv, key=key, timeout=timeout, stdin=stdin, cap=cap, tty=tty, on_output=on_output
            )

    @override
    async def stream(self, target: Sequence[str] | Port) -> Stream:
        with self._use():
            return _WatchedStream(await self._guest.stream(target), self)

    @override
    async def read_file(self, path: str, *, cap: int = DEFAULT_CAP) -> bytes:
        with self._use():
            return await self._guest.read_file(path, cap=cap)

    @override
    async def write_file(self, path: str, data: bytes) -> None:
        with self._use():
            await self._guest.write_file(path, data)

    @override
    async def list_files(self, path: str = ".") -> list[Entry]:
        with self._use():
            return await self._guest.list_files(path)

    @override
    async def delete_file(self, path: str) -> None:
        with self._use():
            await self._guest.delete_file(path)

    @override
    async def close(self) -> None:
        self.dead = True
        await self._guest.close()

    def hold(self) -> None:
        """Stay awake for an open stream."""
        self.busy += 1

    def release(self) -> None:
        """Let it go."""
        self.busy -= 1
        self.used = self._clock.now()


@final
class _WatchedStream(Stream):
    """A stream that keeps its sandbox awake while it is open."""

    def __init__(self, stream: Stream, watched: Watched) -> None:
        self._stream, self._watched = stream, watched
        self._open = True
        watched.hold()

    @override
    async def read(self) -> bytes:
        return await self._stream.read()

    @override
    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    @override
    async def finish(self) -> None:
        await self._stream.finish()

    @override
    async def close(self) -> None:
        if self._open:
            self._open = False
            self._watched.release()
        await self._stream.close()
