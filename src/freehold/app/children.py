"""One started process: what it says, line by line, and the moment it ends."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

PIECE: Final = 1 << 16
LONGEST_LINE: Final = 1 << 16


def harmless(line: bytes) -> str:
    """Return a line as a terminal may show it: what strangers send can end up in it, and could steer the terminal."""
    return "".join(sign if sign.isprintable() or sign == "\t" else "\ufffd" for sign in line.decode(errors="replace"))


class Child:
    """
    A process of ours.

    Its end is what the kernel says about it, not the closing of its pipe: what it started itself may hold
    the pipe open for longer.
    """

    def __init__(
        self, argv: Sequence[str], *, environment: Mapping[str, str], folder: Path, say: Callable[[str], None]
    ) -> None:
        """Start `argv`; `say` gets each line it prints."""
        self._say, self._rest = say, b""
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._process = subprocess.Popen(  # noqa: S603 - the words are ours
            argv,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for whoever keeps the processes; they are stopped in order
        )
        assert self._process.stdout is not None  # noqa: S101 - we just asked for it
        self._pipe = self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)
        self._loop.add_reader(self._pipe, self._read)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def over(self) -> bool:
        """Return whether it has ended."""
        return self._ended.done()

    async def ended(self) -> int:
        """Return its exit status once it has ended; negative: the signal that ended it."""
        return await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if not self.over:
            self._process.send_signal(number)

    def _read(self) -> bool:
        """Pass on what there is to read now and return whether there was anything."""
        try:
            piece = os.read(self._pipe, PIECE)
        except BlockingIOError:
            return False
        if not piece:
            self._loop.remove_reader(self._pipe)
            return False
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._say(harmless(line))
        return True

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        status = self._process.wait()
        while self._read():
            pass  # what it said last
        if self._rest:
            self._say(harmless(self._rest))
        self._loop.remove_reader(self._pipe)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._ended.set_result(status)
