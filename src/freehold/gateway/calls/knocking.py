"""
Whoever connects to a box: looked at once, heard by whatever stands in front, and then spoken to in HTTP.

Uvicorn reads a request's address as a path on this machine. Programs that take a box for their proxy name another
machine in it: what they wrote is kept, so that it can be judged as it was meant.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, MutableSet
from dataclasses import dataclass
from typing import Any, Final, final

from typing_extensions import override

from freehold.gateway.calls.speaking import Speaker
from freehold.store.patience import Patient

TARGET: Final = "freehold.target"
"""Where the scope of a request has its address, if that is no path: as it was written."""
_CREDENTIALS: Final = struct.Struct("3i")
_SAID: Final = b'{"status":405,"code":"tunnel_late","detail":"CONNECT is the first thing a connection is asked for."}'
_LATE: Final = (
    b"HTTP/1.1 405 Method Not Allowed\r\ncontent-type: application/problem+json\r\nx-freehold-code: tunnel_late\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_SAID), _SAID)
)


class TunnelLate(Exception):
    """Stops the parser where a tunnel is asked for on a connection that was used for something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """Somebody connects to a box: what whoever hears them first has to know."""

    sandbox: str
    speaker: Callable[[], Speaker]
    """Who speaks by the box, as things stand when it is asked."""
    lets: Callable[[asyncio.Transport], bool]
    """Whether this user is listened to at all."""
    speak: Callable[[], asyncio.Protocol]
    """Makes what speaks HTTP with them."""
    connections: MutableSet[Any]
    """All that are open, each with its `transport`, so that they can be cut."""


Front = Callable[[Knock], asyncio.Protocol]
"""Returns what hears first what comes in."""


def straight(knock: Knock) -> asyncio.Protocol:
    """Let all that comes in be HTTP."""
    return knock.speak()


@final
class Connection(Patient):
    """One connection to a box that speaks HTTP."""

    def __init__(self, *of: Any, app: Any, lets: Callable[[asyncio.Transport], bool]) -> None:
        """Answer by `app` whom `lets` lets in."""
        super().__init__(*of)
        self.app, self._lets = app, lets

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self._lets(transport):
            transport.abort()

    @override
    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            self._rest()
            self.transport.write(_LATE)
            self.transport.close()
            raise TunnelLate
        if not self.url.startswith(b"/"):
            self.scope[TARGET], self.url = self.url, b"/"  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    @override
    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)


def is_user(transport: asyncio.Transport, user: int | None) -> bool:
    """Return whether `user` (none: anybody) is at the other end."""
    if user is None:
        return True
    end = transport.get_extra_info("socket")
    _, seen, _ = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(seen) == user
