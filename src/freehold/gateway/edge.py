"""
The gateway's edge: plain ASGI, one table of routes per socket.

Which socket a request came in by decides what may be asked: each has a table of its own, and what is not in it
does not exist there. A decision can therefore never come in by the worker's socket.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, final

import msgspec

from freehold.audit.asking import NOBODY, asking, from_headers
from freehold.core.errors import FreeholdError, Invalid, NotFound, Unavailable, to_problem
from freehold.failpoints import reach
from freehold.gateway import asgi
from freehold.gateway.asgi import Receive, Scope, Send

log = logging.getLogger(__name__)

PREFIX: Final = "/v1/"
MAX_BODY: Final = 32 << 20

Say = Callable[[str], None]
Answer = Callable[[bytes, Say | None], Awaitable[Any]]
"""Takes the body of a request, and where text goes that comes before the answer."""

_WITHOUT_WORDS: Final = b"null"


@final
class Edge:
    """Answers what comes in on one socket."""

    def __init__(
        self,
        routes: Mapping[str, Answer],
        *,
        effects: frozenset[str] = frozenset(),
        streams: frozenset[str] = frozenset(),
        asks: bool = False,
    ) -> None:
        """
        Know `routes` by name; those in `effects` do something outside, those in `streams` may answer in pieces.

        With `asks`, who asks here is believed to say in whose request: web is, a worker is not.
        """
        self._routes, self._effects, self._streams = dict(routes), effects, streams
        self._asks = asks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        asking.set(from_headers(_named(scope)) if self._asks else NOBODY)
        try:
            await self._answer(scope, receive, send)
        except FreeholdError as error:
            await _refuse(send, error)
        except Exception:
            log.exception("A request broke.")
            await _refuse(send, FreeholdError("The gateway broke on this.", remedy="See the gateway's log."))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = str(scope["path"]).removeprefix(PREFIX)
        answer = self._routes.get(name)
        if answer is None or scope["method"] != "POST":
            raise NotFound("There is no such thing on this socket.")
        body = await asgi.body_of(receive, most=MAX_BODY)
        if name in self._streams and _wants_stream(body):
            await _stream(send, lambda say: answer(body, say))
            return
        told = await answer(body, None)
        if name in self._effects:
            reach("gateway", "acknowledged")
        await asgi.answer(send, 200, [(b"content-type", b"application/json")], encoded(told))


def route(kind: type[Any], do: Callable[[Any], Awaitable[Any]]) -> Answer:
    """Return a route that reads a request of `kind` and hands it to `do`."""
    decoder = msgspec.json.Decoder(kind)

    async def answer(body: bytes, _say: Say | None) -> Any:
        return await do(decoded(decoder, body))

    return answer


def decoded(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    """Return what the body says; raise `Invalid` for anything that does not look as it must."""
    try:
        return decoder.decode(body or b"{}")
    except msgspec.DecodeError as error:
        raise Invalid(
            "The request does not look as it must.", code="bad_request", remedy="Start all processes from one version."
        ) from error


def encoded(told: Any) -> bytes:
    """Return an answer as JSON; times are RFC 3339 in UTC with milliseconds."""
    return _WITHOUT_WORDS if told is None else msgspec.json.encode(_plain(told))


def _plain(told: Any) -> Any:
    match told:
        case dict():
            return {name: _plain(value) for name, value in told.items()}
        case list() | tuple():
            return [_plain(value) for value in told]
        case _ if hasattr(told, "isoformat"):
            return told.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case _:
            return told


async def _stream(send: Send, do: Callable[[Say], Awaitable[Any]]) -> None:
    """Send each piece as it comes, one line each, and the answer or the problem as the last line."""
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    headers = [(b"content-type", b"application/x-ndjson")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def work() -> bytes:
        try:
            told = await do(lambda text: lines.put_nowait(encoded({"text": text})))
            return encoded({"reply": told})
        except FreeholdError as error:
            after = error.after if isinstance(error, Unavailable) else 0.0
            return encoded({"problem": to_problem(error), "after": after})
        except Exception:
            log.exception("A stream broke.")
            return encoded({"problem": to_problem(FreeholdError("The gateway broke on this.")), "after": 0.0})

    task = asyncio.create_task(work())
    task.add_done_callback(lambda done: None if done.cancelled() else lines.put_nowait(done.result()))
    try:
        last = False
        while not last:
            line = await lines.get()
            last = task.done() and lines.empty()
            if last:
                reach("gateway", "acknowledged")
            await send({"type": "http.response.body", "body": line + b"\n", "more_body": not last})
    finally:
        task.cancel()  # of no consequence: the call itself belongs to its key, not to whoever listens


def _named(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _refuse(send: Send, error: FreeholdError) -> None:
    headers = [(b"content-type", b"application/problem+json")]
    headers += [(b"retry-after", f"{error.after:g}".encode())] if isinstance(error, Unavailable) else []
    await asgi.answer(send, error.status, headers, encoded(to_problem(error)))


class _Streaming(msgspec.Struct):
    stream: bool = False


_streaming: Final = msgspec.json.Decoder(_Streaming)


def _wants_stream(body: bytes) -> bool:
    return bool(decoded(_streaming, body).stream)
