"""
The door to models: `/v1` as clients of OpenAI and Anthropic know it, in plain ASGI.

Who calls is known before anything comes here: by the socket that was knocked at (`boxes`), or by the key that was
shown (`outside`). What comes in is looked at as little as it takes to send it on; a caller that hangs up is settled
for all the same.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final, final

import msgspec

from freehold.core.errors import FreeholdError, Invalid, NotFound, Unavailable
from freehold.core.money import Level
from freehold.gateway import asgi
from freehold.gateway.asgi import Receive, Scope, Send
from freehold.gateway.asked import longest
from freehold.gateway.calls import bodies, naming
from freehold.gateway.calls.engine import Engine
from freehold.gateway.calls.passage import Passage
from freehold.gateway.calls.refusing import refuse
from freehold.gateway.calls.telling import Record
from freehold.gateway.formats import Api, Asked, Caller

log = logging.getLogger(__name__)

MAX_BODY: Final = 64 << 20
DRAIN_SECONDS: Final = 60.0
"""How long an answer is read to its end, for its usage, when nobody listens any more."""
LONGEST_SECONDS: Final = 3600.0
"""How long a stream may take, its caller's reading included; what it holds is not held for ever."""
APIS: Final = {
    "/v1/chat/completions": Api.CHAT,
    "/v1/responses": Api.RESPONSES,
    "/v1/embeddings": Api.EMBEDDINGS,
    "/v1/images/generations": Api.IMAGES,
    "/v1/audio/transcriptions": Api.TRANSCRIPTION,
    "/v1/audio/speech": Api.SPEECH,
    "/v1/messages": Api.MESSAGES,
    "/v1/messages/count_tokens": Api.COUNT_TOKENS,
}
MODELS: Final = "/v1/models"
_PASSED_ON: Final = frozenset({b"anthropic-version", b"anthropic-beta", b"openai-beta", b"accept"})


class _Options(msgspec.Struct):
    include_usage: bool | None = False


_Count = Annotated[int, msgspec.Meta(le=1_000_000_000)]


class _Head(msgspec.Struct):
    """What is looked at of a request; all else goes on unread."""

    model: str
    stream: bool | None = False
    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    max_output_tokens: _Count | None = None
    n: Annotated[int, msgspec.Meta(le=1_000)] | None = 1
    stream_options: _Options | None = None


_head: Final = msgspec.json.Decoder(_Head)


@final
class Door:
    """Answers model calls of one caller."""

    def __init__(self, engine: Engine, caller: Caller) -> None:
        """Let `engine` make what `caller` asks for."""
        self._engine, self._caller = engine, caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path = str(scope["path"])
        api = APIS.get(path, Api.MESSAGES if _is_anthropic(scope) else Api.CHAT)
        try:
            if path == MODELS or path.startswith(MODELS + "/"):
                await self._list(path, api, send)
                return
            passage, record = await self._called(path, scope, receive)
        except FreeholdError as error:
            await refuse(send, api, error)
        except Exception:
            log.exception("A model call broke.")
            await refuse(send, api, FreeholdError("The gateway broke on this.", remedy="See its log."))
        else:
            await self._pass_on(passage, record, receive, send)

    async def _called(self, path: str, scope: Scope, receive: Receive) -> tuple[Passage, Record]:
        if path not in APIS or scope["method"] != "POST":
            raise NotFound("There is no such thing here.", remedy="See the paths under /v1 in the documentation.")
        asked = _asked(APIS[path], scope, await asgi.body_of(receive, most=MAX_BODY))
        record = Record(self._engine.keep, self._caller.whom, asked)
        return await self._engine.call(self._caller, asked, record), record

    async def _pass_on(self, passage: Passage, record: Record, receive: Receive, send: Send) -> None:
        head, pieces = _headers(passage), passage.pieces()
        try:
            if not passage.whole:
                await send({"type": "http.response.start", "status": passage.status, "headers": head})
                await _flow(passage, pieces, receive, send)
                return
            body = await anext(pieces)
        finally:
            await pieces.aclose()
            await passage.leave()  # what never began does not end by itself
            self._engine.finish(passage, record)
        # Settled already: how long a caller takes to read it is its own affair.
        await asgi.answer(send, passage.status, head, body)

    async def _list(self, path: str, api: Api, send: Send) -> None:
        names = await naming.names(self._engine.keep, self._caller)
        one = path.removeprefix(MODELS).removeprefix("/")
        if one:
            if one not in names:
                raise NotFound(f"There is no model {one[:80]!r} for you.", remedy=f"GET {MODELS} lists them.")
            told: dict[str, Any] = _model(one, api)
        else:
            told = {"object": "list", "data": [_model(name, api) for name in names]}
            told |= {
                "has_more": False,
                "first_id": names[0] if names else None,
                "last_id": names[-1] if names else None,
            }
        await asgi.answer(send, 200, [(b"content-type", b"application/json")], msgspec.json.encode(told))


def _asked(api: Api, scope: Scope, body: bytes) -> Asked:
    headers = {name: value for name, value in scope["headers"] if name in _PASSED_ON or name == b"content-type"}
    content_type = headers.pop(b"content-type", b"application/json").decode("latin-1")
    passed = {name.decode(): value.decode("latin-1") for name, value in headers.items()}
    if api is Api.TRANSCRIPTION:
        return _by_form(body, content_type, passed)
    try:
        head = _head.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(
            f"The request is not as it must be: {error}.", code="bad_request", remedy="Send JSON with a model."
        ) from error
    return Asked(
        api=api,
        model=head.model,
        body=body,
        content_type=content_type,
        stream=bool(head.stream),
        max_output=_longest(api, head),
        choices=max(head.n or 1, 1),
        usage_wanted=bool(head.stream_options and head.stream_options.include_usage),
        headers=passed,
    )


def _longest(api: Api, head: _Head) -> int | None:
    """Return the limit of an answer, by the names that an API knows it by: a provider passes over all others."""
    match api:
        case Api.RESPONSES:
            return longest(head.max_output_tokens)
        case Api.MESSAGES:
            return longest(head.max_tokens)
        case _:
            return longest(head.max_completion_tokens, head.max_tokens)


def _by_form(body: bytes, content_type: str, passed: Mapping[str, str]) -> Asked:
    told = bodies.fields(body, bodies.form(body, content_type))
    if not told.get("model"):
        raise Invalid("The form names no model.", code="bad_request", remedy="Send a field `model`.")
    stream = told.get("stream", "").lower() in {"true", "1"}
    return Asked(
        api=Api.TRANSCRIPTION,
        model=told["model"],
        body=body,
        content_type=content_type,
        stream=stream,
        headers=passed,
    )


def _headers(passage: Passage) -> list[tuple[bytes, bytes]]:
    call = passage.usage_id.encode()
    head = [
        (b"content-type", passage.content_type.encode("latin-1")),
        (b"x-request-id", call),
        (b"request-id", call),
        (b"x-freehold-route", passage.way.name.encode("utf-8", "replace")),
    ]
    if passage.hold.clamped:
        head.append((b"x-freehold-max-tokens", str(passage.hold.max_output).encode()))
    if passage.asked.stream:
        head.append((b"cache-control", b"no-cache"))
    return head


async def _flow(passage: Passage, pieces: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Pass a stream on; one that takes too long, because nobody reads it either, is broken off where it stands."""
    gone = asyncio.get_running_loop().create_task(_gone(receive, passage))
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    except TimeoutError:
        await passage.leave(Unavailable("The answer took too long.", code="caller_gone"))
    else:
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _gone(receive: Receive, passage: Passage) -> None:
    """Give an answer that nobody listens to any more some time to come to its end."""
    while (await receive())["type"] != "http.disconnect":
        pass
    await asyncio.sleep(DRAIN_SECONDS)
    passage.abandon()


def _model(name: str, api: Api) -> dict[str, Any]:
    if api is Api.MESSAGES:
        return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
    return {"id": name, "object": "model", "created": 0, "owned_by": "level" if name in set(Level) else "connection"}


def _is_anthropic(scope: Scope) -> bool:
    return any(name == b"anthropic-version" for name, _ in scope["headers"])
