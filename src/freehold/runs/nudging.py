"""
Nudges: datagrams that say "look now", so that nobody has to poll fast.

They carry no truth. One that gets lost costs at most the second until somebody looks anyway.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

from freehold.store.sockets import fitting

BIGGEST: Final = 1 << 16
"""Bytes of one datagram; live text is cut below that by its sender."""

Told = Callable[[dict[str, Any]], None]


@final
class Nudge:
    """The way to the process that listens at a path."""

    def __init__(self, path: Path) -> None:
        """Send to `path`, whether or not anybody listens there."""
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0)

    def send(self, message: dict[str, Any]) -> None:
        """Send `message`; never waits, never raises, and may get lost."""
        with contextlib.suppress(OSError):
            self._socket.sendto(json.dumps(message).encode(), fitting(self._path))

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


@contextmanager
def listen(path: Path, told: Told) -> Iterator[None]:
    """Call `told` in the running loop for each nudge that comes to `path`, while the block lasts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    loop = asyncio.get_running_loop()
    try:
        inbox.settimeout(0)
        inbox.bind(fitting(path))
        path.chmod(0o660)
        loop.add_reader(inbox.fileno(), _read, inbox, told)
        yield
    finally:
        loop.remove_reader(inbox.fileno())
        inbox.close()
        path.unlink(missing_ok=True)


def _read(inbox: socket.socket, told: Told) -> None:
    """Read all there is, so that a burst costs one turn of the loop."""
    with contextlib.suppress(BlockingIOError):
        while True:
            with contextlib.suppress(ValueError):  # not one of ours
                message = json.loads(inbox.recv(BIGGEST))
                if isinstance(message, dict):
                    told(message)
