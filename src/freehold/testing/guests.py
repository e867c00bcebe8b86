"""Sandboxes in memory: a guest whose files are a dictionary and whose commands are functions."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, final

from typing_extensions import override

from freehold.core.errors import NotFound, Unavailable
from freehold.gateway.client import Work
from freehold.sandboxes.runtime import DEFAULT_CAP, DEFAULT_TIMEOUT, Ended, Entry, Guest, OnOutput, Port, Stream

Command = Callable[["MemoryGuest"], Ended]

NOT_FOUND: Final = 127


def printing(text: str, *, status: int = 0) -> Command:
    """Return a command that prints `text` and ends with `status`."""
    return lambda _guest: Ended(exit=status, stdout=text.encode(), stderr=b"", printed=len(text))


@final
class MemoryGuest(Guest):
    """A workspace and a shell that knows the commands it was taught."""

    def __init__(self, commands: dict[str, Command] | None = None) -> None:
        """Know `commands` by the text that is given to the shell."""
        self.commands = commands or {}
        self.files: dict[str, bytes] = {}
        self.ran: list[str] = []
        """The commands that were really run, in order."""
        self.dead = False
        self._outcomes: dict[str, Ended | None] = {}

    def begin(self, key: str) -> None:
        """Leave the mark of a command that began and never came to its end."""
        self._outcomes[key] = None

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
        self._alive()
        if key is not None and key in self._outcomes:
            stored = self._outcomes[key]
            return stored or Ended(exit=-1, stdout=b"", stderr=b"", interrupted=True)
        text = argv[-1]
        self.ran.append(text)
        known = self.commands.get(text)
        ended = known(self) if known else Ended(exit=NOT_FOUND, stdout=b"", stderr=f"{text}: not found\n".encode())
        if key is not None:
            self._outcomes[key] = ended
        return ended

    @override
    async def stream(self, target: Sequence[str] | Port) -> Stream:
        raise NotImplementedError

    @override
    async def read_file(self, path: str, *, cap: int = DEFAULT_CAP) -> bytes:
        self._alive()
        if path not in self.files:
            raise NotFound(f"There is no file {path}.")
        return self.files[path]

    @override
    async def write_file(self, path: str, data: bytes) -> None:
        self._alive()
        self.files[path] = data

    @override
    async def list_files(self, path: str = ".") -> list[Entry]:
        self._alive()
        return [Entry(name=name, kind="file", size=len(data)) for name, data in sorted(self.files.items())]

    @override
    async def delete_file(self, path: str) -> None:
        await self.read_file(path)
        del self.files[path]

    @override
    async def close(self) -> None:
        self.dead = True

    def _alive(self) -> None:
        if self.dead:
            raise Unavailable("The sandbox died.", code="sandbox_died")


@final
class MemorySandboxes:
    """One guest for every run, and a note of when it rested."""

    def __init__(self, guest: MemoryGuest | None = None) -> None:
        """Hand `guest` out."""
        self.guest = guest or MemoryGuest()
        self.wakes = 0
        self.rested: list[str] = []
        self.hangs: asyncio.Event | None = None
        """While there is one that is not set, no sandbox comes to rest."""
        self.broken: Unavailable | None = None
        """What waking meets, if it cannot."""

    async def awake(self, work: Work, uid: int) -> Guest:
        """Return the guest."""
        if self.broken is not None:
            raise self.broken
        self.wakes += 1
        return self.guest

    async def rest(self, run: str) -> None:
        """Take note that the run needs its sandbox no more."""
        if self.hangs is not None:
            await self.hangs.wait()
        self.rested.append(run)
