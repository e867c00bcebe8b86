"""
One HTTP request over a unix socket per question to the gateway, and its answer or its problem back.

Only the user who should listen there is spoken with.
"""

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, final

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace
from typing_extensions import override

from freehold.audit.asking import to_headers
from freehold.core.errors import FreeholdError, Unavailable, from_problem
from freehold.store.sockets import fitting

CONNECT_SECONDS: Final = 5.0
MAX_LINE: Final = 64 << 20
AWAY_AFTER: Final = 0.5
_CREDENTIALS: Final = struct.Struct("3i")

OnText = Callable[[str], None]


@final
class _Connector(aiohttp.UnixConnector):
    """Speaks with one user's processes only: whoever else may write beside the socket could have put theirs there."""

    def __init__(self, path: str, *, user: int) -> None:
        super().__init__(path, limit=0)
        self._user = user

    @override
    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        made = await super()._create_connection(req, traces, timeout)
        transport = made.transport
        if self._user >= 0 and (transport is None or _user_of(transport.get_extra_info("socket")) != self._user):
            made.abort()
            raise aiohttp.ClientConnectionError("Somebody else listens there.")
        return made


def _user_of(end: socket.socket) -> int:
    """Return the user who listens at the other end."""
    _, user, _ = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)


class Line:
    """One of the gateway's sockets."""

    def __init__(self, path: Path, *, user: int = -1) -> None:
        """Speak over the socket at `path`; with `user`, only if it is that user who listens."""
        self._path, self._user = path, user
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, operation: str, question: dict[str, Any], on_text: OnText | None = None) -> Any:
        """Put one question; text that arrives before the answer goes to `on_text`."""
        body = msgspec.json.encode(question)
        try:
            async with self._opened().post(
                f"http://gateway/v1/{operation}", data=body, headers=to_headers()
            ) as response:
                if response.status != 200:  # noqa: PLR2004
                    raise _problem(response.status, await response.read(), response.headers.get("Retry-After"))
                if response.content_type != "application/x-ndjson":
                    return msgspec.json.decode(await response.read())
                return await _stream(response, on_text)
        except (aiohttp.ClientError, OSError, msgspec.DecodeError) as error:
            raise Unavailable(
                "The gateway is away.",
                code="gateway_away",
                after=AWAY_AFTER,
                remedy="It is started again by itself; see `freehold doctor` if it stays away.",
            ) from error

    def _opened(self) -> aiohttp.ClientSession:
        # Made at the first question, because only then there is a loop to belong to.
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=_Connector(fitting(self._path), user=self._user),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                headers={"Content-Type": "application/json"},
                read_bufsize=1 << 20,
            )
        return self._session


async def _stream(response: aiohttp.ClientResponse, on_text: OnText | None) -> Any:
    buffer = bytearray()
    async for chunk in response.content.iter_any():
        buffer += chunk
        while (end := buffer.find(b"\n")) >= 0:
            line = msgspec.json.decode(bytes(buffer[:end]))
            del buffer[: end + 1]
            if "reply" in line:
                return line["reply"]
            if "problem" in line:
                raise from_problem(line["problem"]["status"], line["problem"], after=line["after"])
            if on_text is not None:
                on_text(line["text"])
        if len(buffer) > MAX_LINE:
            break
    raise aiohttp.ClientPayloadError("The stream ended before its end.")


def _problem(status: int, body: bytes, after: str | None) -> FreeholdError:
    problem = msgspec.json.decode(body)
    return from_problem(status, problem, after=float(after or AWAY_AFTER))
