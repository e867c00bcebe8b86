"""
A WebSocket by a connection: judged like a request for the same path, and from then on bytes both ways.

What asks for it is written here, with the connection's credential. Nothing a program says goes out before the server
has shown that it speaks WebSocket: else what it took for a frame were a second request, that nobody judged. No
extension is agreed upon, so what comes can be read, and the credential in it blotted out.
"""

import asyncio
import base64
import functools
import hashlib
import re
import ssl
from dataclasses import dataclass
from typing import Final, final

import httptools
from typing_extensions import override

from freehold.core.errors import FreeholdError, Invalid, Unavailable
from freehold.gateway.calls.knocking import Knock
from freehold.gateway.egress.dialling import dial
from freehold.gateway.egress.frames import Frames
from freehold.gateway.egress.front import Held, Said
from freehold.gateway.egress.pipe import EARLY, IDLE_SECONDS, Pipe
from freehold.gateway.egress.refusing import spelt
from freehold.gateway.egress.relay import PREFIX, Relay, Wanted, wanted_of
from freehold.gateway.outward.client import ENCRYPTED, tried
from freehold.gateway.outward.guard import Guard
from freehold.gateway.outward.hosts import place_in
from freehold.gateway.requesting import callers
from freehold.gateway.requesting.shaping import Shaped
from freehold.store.patience import MOST_BYTES

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")
_PROTOCOL: Final = re.compile(r"[A-Za-z0-9.+_-]{1,32}")
_SWITCHED: Final = 101
_CLOSED: Final = bytes((0x88, 2, 0x03, 0xF0))
"""A frame that says: this is against the rules (1008)."""


@functools.cache
def _believed() -> ssl.SSLContext:
    """Return whom this machine believes: read once, because a third of a gateway's start went by with it."""
    return ssl.create_default_context()


@final
class WebSockets:
    """Opens WebSockets for programs."""

    def __init__(
        self, relay: Relay, guard: Guard, *, idle: float = IDLE_SECONDS, tls: ssl.SSLContext | None = None
    ) -> None:
        """
        Judge by `relay`, go where `guard` lets; end one that was silent for `idle` seconds.

        Servers show who they are by `tls`; unless stated, as this machine believes it.
        """
        self.relay, self.guard, self.idle = relay, guard, idle
        self.tls = tls or _believed()

    def open(self, knock: Knock, said: Said) -> Held | None:
        """Return the WebSocket that is asked for, if one is; raise `Invalid` for a wish that makes no sense."""
        asked = dict(said.headers)
        if not said.target.startswith(PREFIX) or asked.get(b"upgrade", b"").strip().lower() != b"websocket":
            return None
        key = asked.get(b"sec-websocket-key", b"").strip()
        if said.method != "GET" or asked.get(b"sec-websocket-version", b"").strip() != b"13" or not _KEY.fullmatch(key):
            raise Invalid(
                "This is no wish for a WebSocket.",
                code="bad_request",
                status=400,
                remedy="Ask as RFC 6455 says, version 13.",
            )
        return _WebSocket(self, knock, said, key)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a server answered."""

    status: int
    headers: dict[bytes, bytes]


@final
class _WebSocket(Pipe):
    """One WebSocket, at the end where the program is."""

    def __init__(self, sockets: WebSockets, knock: Knock, said: Said, key: bytes) -> None:
        super().__init__(knock.connections, sockets.relay.sessions, early=said.rest, idle=sockets.idle)
        self._speaker, self._sandbox = knock.speaker(), knock.sandbox
        self._sockets, self._key = sockets, key
        self._wanted, self._protocols = _wanted(said), _protocols(said)
        self._request, self._frames, self._agreed = b"", Frames(()), False
        self._head, self._held, self._full = bytearray(), bytearray(), False

    @override
    async def dialled(self) -> None:
        self.session, connected, shaped = await self._sockets.relay.begin(
            self._speaker, self._sandbox, self._wanted, self.cut
        )
        if self.lost:
            raise Unavailable("The program hung up.", code="caller_gone")
        place, self._frames = place_in(shaped.url), Frames(shaped.blotted)
        scheme = shaped.url.partition(":")[0]
        self._request = _request(shaped, place.said_by(scheme), self._key, self._protocols)
        tls = self._sockets.tls if scheme in ENCRYPTED else None
        addresses = await self._sockets.guard.addresses(place, connected.behalf(self._speaker.whom.tenant))
        await dial(self.far, self.session, place, tried(addresses), tls)

    @override
    def reached(self) -> None:
        self.send(self._request)
        super().reached()

    @override
    def greeting(self) -> bytes:
        return b""

    @override
    def outward(self, data: bytes, *, last: bool) -> bytes:
        if self._agreed:
            return data
        self._held += data
        if len(self._held) > EARLY:
            raise Invalid("Too much was said before the server answered.", code="bad_request", status=400)
        return b""

    @override
    def inward(self, data: bytes) -> bytes:
        if self._agreed:
            return self._looked_through(data)
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0 and len(self._head) <= MOST_BYTES:
            return b""
        head, rest = bytes(self._head[: end + 4]), bytes(self._head[end + 4 :])
        greeting = self._agree(_heard(head))
        self._agreed = True
        self.send(bytes(self._held))
        return greeting + self._looked_through(rest)

    @override
    def pause_writing(self) -> None:
        self._full = True
        super().pause_writing()

    @override
    def resume_writing(self) -> None:
        self._full = False
        self._read_on()

    def _looked_through(self, data: bytes) -> bytes:
        """Return what may go on of what came; while some of it waits, nothing more is read."""
        passed = self._frames.feed(data)
        if self._frames.more and (far := self._standing()) is not None and not far.transport.is_closing():
            far.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._look_on)
        return passed

    def _look_on(self) -> None:
        self.came(b"")
        self._read_on()

    def _read_on(self) -> None:
        if not self._full and not self._frames.more:
            super().resume_writing()

    @override
    def parting(self, error: FreeholdError, *, stood: bool) -> bytes:
        return _CLOSED if self._agreed else spelt(error, aloud=True)

    @override
    def note(self, error: FreeholdError) -> None:
        sessions = self._sockets.relay.sessions
        sessions.refused(self._speaker, self._sandbox, about=self._wanted.about, error=error)

    def _agree(self, heard: _Heard) -> bytes:
        """Return what the program is told of a server that agrees; raise `Unavailable` for one that does not."""
        if self.session is not None:
            self.session.status = heard.status
        accepted = base64.b64encode(hashlib.sha1(self._key + _GUID, usedforsecurity=False).digest())
        protocol = heard.headers.get(b"sec-websocket-protocol", b"")
        if heard.status != _SWITCHED:
            raise _not_agreed(f"The server answered {heard.status}.")
        if heard.headers.get(b"sec-websocket-accept") != accepted or b"sec-websocket-extensions" in heard.headers:
            raise _not_agreed("The server did not answer what it was asked.")
        if protocol and protocol.decode("latin-1") not in self._protocols:
            raise _not_agreed("The server speaks a protocol that nobody asked for.")
        lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
        lines += [b"Sec-WebSocket-Accept: " + accepted]
        lines += [b"Sec-WebSocket-Protocol: " + protocol] if protocol else []
        return b"\r\n".join([*lines, b"", b""])


def _wanted(said: Said) -> Wanted:
    path, _, query = said.target.partition("?")
    return wanted_of("GET", path, query, said.headers)


def _protocols(said: Said) -> tuple[str, ...]:
    """Return the protocols that may be asked for: some clients write a key there, which is no more let out than a header."""
    stated = ",".join(value.decode("latin-1") for name, value in said.headers if name == b"sec-websocket-protocol")
    names = [name.strip() for name in stated.split(",") if _PROTOCOL.fullmatch(name.strip())]
    return tuple(name for name in names if callers.headers([(name, "")], kept=frozenset(), taken=frozenset()))


def _request(shaped: Shaped, host: str, key: bytes, protocols: tuple[str, ...]) -> bytes:
    headers = dict(shaped.headers) | {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key.decode("ascii"),
    }
    if protocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(protocols)
    rest = shaped.url.partition("://")[2]
    path = "/" + rest.partition("/")[2] if "/" in rest.partition("?")[0] else "/?" + rest.partition("?")[2]
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    if any("\r" in line or "\n" in line for line in lines):
        raise Invalid("This cannot be sent.", code="bad_header", remedy="Leave out line breaks.")
    return "\r\n".join(lines).encode("latin-1")


@final
class _Parts:
    """Gathers what the parser finds in an answer."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.lower()
        self.headers[key] = self.headers[key] + b", " + value if key in self.headers else value


def _heard(head: bytes) -> _Heard:
    parts = _Parts()
    parser = httptools.HttpResponseParser(parts)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise _not_agreed("The server answered what is no HTTP.") from error
    return _Heard(parser.get_status_code(), parts.headers)


def _not_agreed(why: str) -> Unavailable:
    remedy = "See whether there is a WebSocket at this path, and whether the connection's secret opens it."
    return Unavailable(f"No WebSocket: {why}", code="upgrade_refused", status=502, remedy=remedy)
