"""
The one client that speaks HTTP to the world: aiohttp, nothing followed, nothing unpacked, nothing remembered.

Where a request leads is judged first, and what was judged is connected to: aiohttp is given an address and never a
name. Connections are kept open between requests. No redirect is followed, because it would carry a credential to where
nobody said it should go; nothing asks for a packed answer, because what is packed comes in lumps and may unpack to
anything.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from itertools import zip_longest
from typing import Final, final

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter, ResolveResult
from typing_extensions import override
from yarl import URL

from freehold.core.errors import Unavailable
from freehold.gateway.asked import Behalf
from freehold.gateway.outward.exchange import Answer, Sent
from freehold.gateway.outward.guard import Guard
from freehold.gateway.outward.hosts import Address, place_in
from freehold.gateway.ports import NotSent

CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 120.0
IDLE_SECONDS: Final = 30.0
"""How long a connection is kept for the next request; servers close theirs after a minute or more."""
MOST_ADDRESSES: Final = 3
"""Addresses of one name that are tried, one after the other."""
ENCRYPTED: Final = frozenset({"https", "wss"})
_ALWAYS: Final = {"Accept-Encoding": "identity", "User-Agent": "freehold"}


class Trouble(Enum):
    """What can go wrong between here and a server."""

    UNREACHABLE = "unreachable"
    """It could not be connected to: nothing was sent."""
    SILENT = "silent"
    CUT = "cut"
    BROKEN = "broken"
    UNSPEAKABLE = "unspeakable"
    """What was to be sent cannot be spelt in HTTP: nothing was sent."""

    @property
    def kind(self) -> type[Unavailable]:
        """The error that it is: `NotSent` exactly where nothing was sent."""
        return NotSent if self in {Trouble.UNREACHABLE, Trouble.UNSPEAKABLE} else Unavailable


Told = Callable[[Trouble], Unavailable]
"""Says what went wrong in the words of whoever asked, as an error of its `kind`."""


def told_in(words: Mapping[Trouble, tuple[str, str, str]]) -> Told:
    """Return what tells each trouble in these words: message, code and remedy of it."""

    def told(what: Trouble) -> Unavailable:
        message, code, remedy = words[what]
        return what.kind(message, code=code, remedy=remedy)

    return told


trouble: Final = told_in(
    {
        Trouble.UNREACHABLE: (
            "The server cannot be reached.",
            "server_unreachable",
            "Look at the address, and whether the server is up.",
        ),
        Trouble.UNSPEAKABLE: (
            "The request cannot be spelt.",
            "server_unreachable",
            "Leave out line breaks and signs that no address or header may have; look at the secret too.",
        ),
        Trouble.SILENT: ("The server says nothing.", "server_timeout", ""),
        Trouble.CUT: ("The server broke off.", "server_cut", ""),
        Trouble.BROKEN: ("The server failed.", "server_failed", ""),
    }
)
"""What went wrong, in words that fit every server."""


@final
class Client:
    """Sends requests to where the guard lets them."""

    def __init__(self, guard: Guard, *, told: Told = trouble, silence: float = SILENCE_SECONDS) -> None:
        """Give up on a server that says nothing for `silence` seconds; say what went wrong by `told`."""
        self._guard, self._told, self._silence = guard, told, silence
        self._session: aiohttp.ClientSession | None = None

    async def send(self, sent: Sent, behalf: Behalf, on_sent: Callable[[], None]) -> Answer:
        """
        Send a request and return its answer once the head is there; `on_sent` is called when it has left.

        Raises `Denied` (`address_refused`) where nobody may go for `behalf`, `NotSent` where the server could not be
        reached, else another `Unavailable`.
        """
        place = place_in(sent.url)
        failed: Exception | None = None
        for address in tried(await self._guard.addresses(place, behalf)):
            try:
                # A server that says so much before its answer that none ever begins is silent, too.
                async with asyncio.timeout(self._silence if sent.pieces is None else None):
                    return await self._sent(sent, address, on_sent)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                failed = error  # nothing was sent
            except (aiohttp.ClientError, OSError) as error:
                raise self._told(kind_of(error)) from error
            except ValueError as error:
                raise self._told(Trouble.UNSPEAKABLE) from error
        raise self._told(Trouble.UNREACHABLE) from failed

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _sent(self, sent: Sent, address: Address, on_sent: Callable[[], None]) -> Answer:
        url, host, certified = _pinned(sent.url, address)
        response = await self._opened().request(
            sent.method,
            url,
            data=_body(sent, on_sent),
            headers=_headers(sent.headers, host),
            server_hostname=certified,
            allow_redirects=False,
        )
        headers: dict[str, str] = {}
        for name, value in response.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return Answer(
            status=response.status,
            headers=headers,
            pairs=response.raw_headers,
            chunks=_chunks(response, self._told),
            address=str(address),
            release=response.close,
        )

    def _opened(self) -> aiohttp.ClientSession:
        # Made at the first request, because only then there is a loop to belong to.
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self._silence),
                connector=aiohttp.TCPConnector(limit=0, resolver=_NoNames(), keepalive_timeout=IDLE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=1 << 16,
                read_bufsize=1 << 18,
                auto_decompress=False,
                trust_env=False,
            )
            # A server that hangs up may have done it: aiohttp would send a PUT or DELETE again, and offers no other way.
            self._session._retry_connection = False  # noqa: SLF001
        return self._session


def kind_of(error: Exception) -> Trouble:
    """Return what an error of aiohttp's means."""
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        return Trouble.UNREACHABLE
    if isinstance(error, TimeoutError):
        return Trouble.SILENT
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        return Trouble.CUT
    return Trouble.BROKEN


@final
class _NoNames(AbstractResolver):
    """Stands where aiohttp would look names up: none ever comes here, and none would get an answer."""

    @override
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        raise OSError(None, "names are resolved by the guard")

    @override
    async def close(self) -> None:
        pass


async def _chunks(response: aiohttp.ClientResponse, told: Told) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise told(kind_of(error)) from error
    finally:
        if not response.content.at_eof():
            response.close()


def _headers(stated: Mapping[str, str], host: str) -> dict[str, str]:
    """Return the headers of a request; which host is meant says the address alone, however a header is spelt."""
    kept = {name: value for name, value in stated.items() if len(name) != len("Host") or name.lower() != "host"}
    return {**_ALWAYS, **kept, "Host": host}


def tried(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses to try, those of either kind by turns: where one kind leads nowhere, all of it may."""
    kinds = [[address for address in addresses if address.version == kind] for kind in (6, 4)]
    if addresses[0].version == 4:  # noqa: PLR2004
        kinds.reverse()
    turns = zip_longest(*kinds)
    return [address for turn in turns for address in turn if address is not None][:MOST_ADDRESSES]


@lru_cache(maxsize=1024)
def _pinned(url: str, address: Address) -> tuple[URL, str, str | None]:
    """Return the URL that leads to `address`, the host as a header says it, and the name that a certificate must have."""
    stated, place = URL(url, encoded=True), place_in(url)
    name = place.host.name if place.host.address is None and stated.scheme in ENCRYPTED else None
    return stated.with_host(str(address)), place.said_by(stated.scheme), name


def _body(sent: Sent, on_sent: Callable[[], None]) -> aiohttp.Payload | None:
    if sent.pieces is not None:
        return _Pieces(sent.pieces, on_sent)
    return _Whole(sent.body, on_sent) if sent.body else None


@final
class _Whole(aiohttp.BytesPayload):
    """A body that says when it has left; for aiohttp's own way of telling it would watch every step of every call."""

    def __init__(self, body: bytes, on_sent: Callable[[], None]) -> None:
        super().__init__(body)
        self._on_sent = on_sent

    @override
    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await super().write_with_length(writer, content_length)
        self._on_sent()


@final
class _Pieces(aiohttp.AsyncIterablePayload):
    """A body that comes in pieces, and says when the last has left."""

    def __init__(self, pieces: AsyncIterable[bytes], on_sent: Callable[[], None]) -> None:
        super().__init__(pieces)
        self._on_sent = on_sent

    @override
    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await super().write_with_length(writer, content_length)
        self._on_sent()
