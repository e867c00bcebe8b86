"""
What hears a program first: it reads one head, and what is no ordinary request it takes from there as bytes.

CONNECT and WebSocket make of a connection something else than HTTP. Which of them is asked for shows in the first head
alone; everything else is handed on to what speaks HTTP, just as it came.
"""

import asyncio
import re
from collections.abc import Callable, MutableSet
from dataclasses import dataclass
from typing import Any, Final, final

import httptools
from typing_extensions import override

from freehold.core.errors import FreeholdError, Invalid
from freehold.gateway.calls.knocking import Knock
from freehold.gateway.egress.refusing import spelt
from freehold.store.patience import MOST_BYTES, SECONDS

AT_ONCE: Final = 192
"""Connections to one box that may be open at a time, of every kind; whoever comes then is not listened to."""
_ENDS: Final = (b"\r\n\r\n", b"\n\n")
_CONNECT: Final = b"CONNECT "
_LINE: Final = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.[01]\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a connection was asked for first."""

    method: str
    target: str
    """As it was written."""
    headers: tuple[tuple[bytes, bytes], ...]
    """The names in lower case."""
    rest: bytes
    """What was said before anybody answered."""


class Held(asyncio.Protocol):
    """A connection that can be found, and cut, while it is open."""

    def __init__(self, connections: MutableSet[Any]) -> None:
        """Be one of `connections` while it is open."""
        self._connections = connections
        self.transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self.transport = transport
        self._connections.add(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._connections.discard(self)


Take = Callable[[Knock, Said], Held | None]
"""Returns what a connection becomes for what it was asked for; none: that is an ordinary request."""


@final
class Front(Held):
    """A connection of which nothing is known yet."""

    def __init__(self, knock: Knock, take: Take, *, seconds: float = SECONDS) -> None:
        """Give by `take` to whom it belongs what is no HTTP; wait `seconds` for the first head."""
        super().__init__(knock.connections)
        self._knock, self._take, self._seconds = knock, take, seconds
        self._heard = bytearray()
        self._late: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self._knock.connections) > AT_ONCE or not self._knock.lets(transport):
            transport.abort()
            return
        self._late = asyncio.get_running_loop().call_later(self._seconds, transport.close)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._rest()

    @override
    def data_received(self, data: bytes) -> None:
        looked = max(0, len(self._heard) - len(_ENDS[0]))
        self._heard += data
        whole = any(self._heard.find(end, looked) >= 0 for end in _ENDS)
        if not whole and len(self._heard) <= MOST_BYTES:
            return
        self._rest()
        try:
            taken = self._take(self._knock, _read(bytes(self._heard))) if self._is_other() else None
        except FreeholdError as error:
            self.transport.write(spelt(error))
            self.transport.close()
            return
        self._become(taken or self._knock.speak(), b"" if taken else bytes(self._heard))

    def _is_other(self) -> bool:
        """Return whether this may be something else than an ordinary request."""
        head = bytes(self._heard[:MOST_BYTES])
        return head.startswith(_CONNECT) or b"\nupgrade:" in head.lower()

    def _become(self, other: asyncio.Protocol, heard: bytes) -> None:
        self._connections.discard(self)
        self.transport.set_protocol(other)
        other.connection_made(self.transport)
        if heard and not self.transport.is_closing():
            other.data_received(heard)

    def _rest(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def fronts(*takes: Take, seconds: float = SECONDS) -> Callable[[Knock], Front]:
    """Return what hears first what comes in at a box, and gives it to the first of `takes` to whom it belongs."""

    def take(knock: Knock, said: Said) -> Held | None:
        return next((taken for one in takes if (taken := one(knock, said)) is not None), None)

    return lambda knock: Front(knock, take, seconds=seconds)


@final
class _Parts:
    """Gathers what the parser finds in a head."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.whole = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.whole = True


def _read(heard: bytes) -> Said:
    """Take a first head apart; raise `Invalid` (`bad_request`) for what is none."""
    end = heard.find(_ENDS[0])
    if not 0 <= end <= MOST_BYTES or not _LINE.match(heard):
        raise _bad()
    head, rest, parts = heard[: end + len(_ENDS[0])], heard[end + len(_ENDS[0]) :], _Parts()
    parser = httptools.HttpRequestParser(parts)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise _bad() from error
    if not parts.whole:
        raise _bad()
    return Said(
        method=parser.get_method().decode("ascii"),
        target=parts.target.decode("latin-1"),
        headers=tuple(parts.headers),
        rest=rest,
    )


def _bad() -> Invalid:
    return Invalid(
        "This is no request that can be read.",
        code="bad_request",
        status=400,
        remedy=f"Send a request line and headers of HTTP/1.1, at most {MOST_BYTES} bytes, each line ended by CR LF.",
    )
