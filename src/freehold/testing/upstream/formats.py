"""Which format a path speaks, and what each does with a question."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from freehold.testing.upstream import anthropic, gemini, openai_chat, openai_other, openai_responses
from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.events import Event
from freehold.testing.upstream.ledger import Entry
from freehold.testing.upstream.plans import Plan, Question, tokens
from freehold.testing.upstream.wire import Request

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Talking:
    """A format in which text is generated."""

    question: Callable[[Body, Request], Question]
    whole: Callable[[Plan, Act, Body, str], dict[str, Any]]
    stream: Callable[[Plan, Act, Body, str], Iterator[Event]]


TALKING: Final = {
    "chat": Talking(lambda body, _: openai_chat.question(body), openai_chat.whole, openai_chat.stream),
    "responses": Talking(
        lambda body, _: openai_responses.question(body), openai_responses.whole, openai_responses.stream
    ),
    "messages": Talking(
        lambda body, _: anthropic.question(body),
        lambda plan, act, _, id_: anthropic.whole(plan, act, id_),
        lambda plan, act, _, id_: anthropic.stream(plan, act, id_),
    ),
    "generate": Talking(
        lambda body, request: gemini.question(
            body, _gemini_model(request.path), stream=":streamGenerateContent" in request.path
        ),
        lambda plan, act, _, id_: gemini.whole(plan, act, id_),
        lambda plan, act, _, id_: gemini.stream(plan, act, id_),
    ),
}
OTHER: Final[Mapping[str, Callable[[Request, Body, Act, Entry], dict[str, Any] | bytes]]] = {
    "embeddings": lambda _, body, act, entry: openai_other.embeddings(body, act, entry),
    "images": lambda _, body, act, entry: openai_other.images(body, act, entry),
    "transcription": lambda request, _, act, entry: openai_other.transcription(request.body, act, entry),
    "speech": lambda _, body, act, entry: openai_other.speech(body, act, entry),
    "embed": lambda _, body, act, entry: gemini.embedded(body, entry),
    "count_tokens": lambda _, body, act, entry: {"input_tokens": tokens(anthropic.question(body).text)},
}
_ENDS: Final = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/messages": "messages",
    "/messages/count_tokens": "count_tokens",
    "/embeddings": "embeddings",
    "/images/generations": "images",
    "/audio/transcriptions": "transcription",
    "/audio/speech": "speech",
    ":generateContent": "generate",
    ":streamGenerateContent": "generate",
    ":embedContent": "embed",
    ":batchEmbedContents": "embed",
}


def api_of(request: Request) -> str:
    """Return what a path is about; empty where there is nothing."""
    for end, api in _ENDS.items():
        if request.path.endswith(end):
            return api
    return "models" if "/models" in request.path and request.method == "GET" else ""


def model_of(request: Request, body: Body) -> str:
    """Return the model that is asked."""
    return str(body.get("model") or _gemini_model(request.path))


def key_of(request: Request) -> str:
    """Return the credential a request came with."""
    headers = request.headers
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    given = headers.get("x-api-key") or headers.get("x-goog-api-key") or headers.get("api-key")
    return given or bearer or request.query.get("key", "")


def other(api: str, request: Request, body: Body, act: Act, entry: Entry) -> dict[str, Any] | bytes:
    """Answer what generates no text: a plain answer, or sound."""
    made = OTHER.get(api)
    return _models(request) if made is None else made(request, body, act, entry)


def error(request: Request, status: int, message: str) -> dict[str, Any]:
    """Return an error in the shape of whoever is asked."""
    kind = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}.get(
        status, "invalid_request_error"
    )
    if api_of(request) in ("messages", "count_tokens"):
        return {"type": "error", "error": {"type": kind, "message": message}}
    if api_of(request) in ("generate", "embed"):
        return {"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def error_event(request: Request, message: str) -> Event:
    """Return an error in the middle of a stream."""
    told = error(request, 529, message)
    return Event(told, "error" if api_of(request) in ("messages", "responses") else "")


def _models(request: Request) -> dict[str, Any]:
    if "/v1beta/" in request.path:
        return gemini.models()
    told = openai_other.models(request.path)
    if "anthropic-version" in request.headers and "data" in told:
        each = [
            one | {"type": "model", "display_name": one["id"], "created_at": "2026-01-01T00:00:00Z"}
            for one in told["data"]
        ]
        return {"data": each, "has_more": False, "first_id": each[0]["id"], "last_id": each[-1]["id"]}
    return told


def _gemini_model(path: str) -> str:
    return path.rpartition("/models/")[2].partition(":")[0] if "/models/" in path else ""
