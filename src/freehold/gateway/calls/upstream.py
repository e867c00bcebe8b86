"""
The one client that speaks to model providers: aiohttp, nothing followed, nothing unpacked, nothing remembered.

Connections are kept open between calls. No redirect is followed, because it would carry a credential to where nobody
said it should go; no answer is compressed, because what is packed comes in lumps and may unpack to anything.
"""

from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import Final, final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from typing_extensions import override
from yarl import URL

from freehold.core.errors import Unavailable
from freehold.gateway.formats import Answer, Sent
from freehold.gateway.ports import NotSent

CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 120.0
IDLE_SECONDS: Final = 30.0
"""How long a connection is kept for the next call; providers close theirs after a minute or more."""
_ALWAYS: Final = {"Accept-Encoding": "identity", "User-Agent": "freehold"}


@final
class Upstream:
    """Sends requests to providers."""

    def __init__(self, *, silence: float = SILENCE_SECONDS) -> None:
        """Give up on a provider that says nothing for `silence` seconds."""
        self._silence = silence
        self._session: aiohttp.ClientSession | None = None

    async def send(self, sent: Sent, on_sent: Callable[[], None]) -> Answer:
        """
        Send a request and return its answer once the head is there; `on_sent` is called when it has left.

        Raises `NotSent` where the provider could not be reached, else another `Unavailable`.
        """
        try:
            response = await self._opened().request(
                sent.method,
                _url(sent.url),
                data=_Body(sent.body, on_sent) if sent.body else None,
                headers={**_ALWAYS, **sent.headers},
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise translated(error) from error
        except ValueError as error:
            raise _unspeakable() from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status=response.status, headers=headers, chunks=_chunks(response), address=_address(response))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        # Made at the first call, because only then there is a loop to belong to.
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self._silence),
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=IDLE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=1 << 16,
                read_bufsize=1 << 18,
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def translated(error: Exception) -> Unavailable:
    """Return what went wrong with a provider as the kind of error that says whether something may have happened."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return NotSent(
            "The model's provider cannot be reached.",
            code="provider_unavailable",
            remedy="Look at the connection's base_url and whether the provider is up.",
        )
    if isinstance(error, TimeoutError):
        return Unavailable("The model's provider says nothing.", code="provider_timeout")
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        return Unavailable("The model's provider broke off.", code="provider_cut")
    return Unavailable("The model's provider failed.", code="provider_unavailable")


def _unspeakable() -> NotSent:
    return NotSent(
        "The request to the model's provider cannot be spelt.",
        code="provider_unavailable",
        remedy="Set the connection's secret to a key without line breaks and signs that no header may have.",
    )


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise translated(error) from error
    finally:
        response.close() if not response.content.at_eof() else response.release()


def _address(response: aiohttp.ClientResponse) -> str:
    connection = response.connection
    peer = connection.transport.get_extra_info("peername") if connection and connection.transport else None
    return str(peer[0]) if peer else ""


@lru_cache(maxsize=256)
def _url(url: str) -> URL:
    """Return what aiohttp knows an address by; there are as many as there are connections."""
    return URL(url, encoded=True)


@final
class _Body(aiohttp.BytesPayload):
    """A body that says when it has left; for aiohttp's own way of telling it would watch every step of every call."""

    def __init__(self, body: bytes, on_sent: Callable[[], None]) -> None:
        super().__init__(body)
        self._on_sent = on_sent

    @override
    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await super().write_with_length(writer, content_length)
        self._on_sent()
