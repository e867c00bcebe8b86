"""
The way to models: a port on the sandbox's own loopback, and behind it the one socket that leads out.

Bytes are carried as they come; whose they are, the far side knows by its socket. Whatever is not taken there is not
read here, so neither side can flood the other, and whoever says that it has no more to say may still listen.
"""

from __future__ import annotations

import _socket
import os

from freehold.guest.loop import READ, WRITE, Loop

PORT = 7071
SOCKET = "/run/gateway/gateway.sock"
CHUNK = 1 << 16
AT_ONCE = 64
"""Connections carried at once; more wait in the queue of the port."""
_SAID = b'{"error":{"message":"The gateway is away. Ask again.","type":"server_error","code":"gateway_away"}}'
AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-length: " + str(len(_SAID)).encode() + b"\r\n\r\n" + _SAID
)
"""What a program is told while nobody listens behind the socket."""


class Way:
    """The port, and what is carried from it."""

    def __init__(self, loop: Loop, *, port: int = PORT, socket: str = SOCKET) -> None:
        """Listen on `port`, and carry to the socket that is called `socket`."""
        self._loop, self._socket = loop, socket
        self._carried: list[_Carried] = []
        self._listener = _opened(_socket.AF_INET)
        self._listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(128)
        loop.watch(self._listener.fileno(), READ, self._accept)

    def _accept(self, _events: int) -> None:
        try:
            near, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - `socket` costs too much
        except OSError:
            return  # whoever it was is gone, or there are no descriptors left
        os.set_blocking(near, False)
        os.set_inheritable(near, False)  # noqa: FBT003 - it takes no name
        far, said = self._dial()
        self._carried.append(_Carried(self._loop, near, far, said, self._over))
        if len(self._carried) >= AT_ONCE:
            for one in [one for one in self._carried if one.left]:
                one.end()
        if len(self._carried) >= AT_ONCE:
            self._loop.unwatch(self._listener.fileno())

    def _dial(self) -> tuple[int, bytes]:
        """Return the far end; where nobody listens, one that swallows everything, and what is said instead."""
        far = _opened(_socket.AF_UNIX)
        try:
            far.connect(self._socket)
        except OSError:
            far.close()
            return os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC), AWAY
        return far.detach(), b""

    def _over(self, one: _Carried) -> None:
        self._carried.remove(one)
        self._loop.watch(self._listener.fileno(), READ, self._accept)


class _Carried:
    """One connection: two ends, and for each what it was not yet given."""

    def __init__(self, loop: Loop, near: int, far: int, said: bytes, over: object) -> None:
        self._loop, self._far, self._over = loop, far, over
        self._other = {near: far, far: near}
        self._owed = {near: said, far: b""}
        self._silent: set[int] = set()
        self._look()

    @property
    def left(self) -> bool:
        """Whether nothing more can come from outside, and all that came was passed on."""
        return self._far in self._silent and not any(self._owed.values())

    def end(self) -> None:
        """Let go of both ends."""
        for fd in self._other:
            self._loop.unwatch(fd)
            os.close(fd)
        self._over(self)  # type: ignore[operator]

    def _ready(self, fd: int, events: int) -> None:
        try:
            if events & WRITE and self._owed[fd]:
                self._give(fd)
            if events & READ and fd not in self._silent and not self._owed[self._other[fd]]:
                self._take(fd)
        except BlockingIOError:
            pass
        except OSError:
            self.end()
            return
        if len(self._silent) == len(self._other) and not any(self._owed.values()):
            self.end()
        else:
            self._look()

    def _take(self, fd: int) -> None:
        data, other = os.read(fd, CHUNK), self._other[fd]
        if data:
            self._owed[other] = data
            self._give(other)
        else:
            self._silent.add(fd)
            _hang_up(other)

    def _give(self, fd: int) -> None:
        owed = self._owed[fd]
        self._owed[fd] = owed[os.write(fd, owed) :]
        if not self._owed[fd] and self._other[fd] in self._silent:
            _hang_up(fd)

    def _look(self) -> None:
        """Watch each end for what can be done there now."""
        for fd, other in self._other.items():
            events = WRITE if self._owed[fd] else 0
            if fd not in self._silent and not self._owed[other]:
                events |= READ
            if events:
                self._loop.watch(fd, events, lambda seen, fd=fd: self._ready(fd, seen))  # type: ignore[misc]
            else:
                self._loop.unwatch(fd)


def _opened(family: int) -> _socket.socket:
    return _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)


def _hang_up(fd: int) -> None:
    """Tell the other side of `fd` that nothing more comes."""
    try:
        end = _socket.socket(fileno=os.dup(fd))
        end.shutdown(_socket.SHUT_WR)
        end.close()
    except OSError:
        return  # no socket but what swallows everything, or the other side is gone
