"""What providers send back, put together: pieces of text, pieces of tool calls, usage. What comes is not trusted."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from freehold.core.errors import FreeholdError, Unavailable
from freehold.gateway.ports import Call, ModelCall, ModelReply

MAX_CALLS: Final = 128
BYTES_PER_TOKEN: Final = 4
_END: Final = b"[DONE]"


def malformed(why: str) -> Unavailable:
    """Return the error that tells that a provider's answer makes no sense."""
    return Unavailable(
        f"The model's provider answered with something that is no answer: {why}.", code="provider_malformed"
    )


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Reading:
    """A streamed answer as far as it has come."""

    call: ModelCall
    sent: int
    """Bytes of the request; what its tokens are guessed from if the provider does not say."""
    finish: str = ""
    ended: bool = False
    _text: list[str] = field(default_factory=list)
    _calls: dict[int, _Call] = field(default_factory=dict)
    _usage: tuple[int, int] | None = None
    _model: str = ""

    def take(self, data: bytes) -> None:
        """Take one event; its text goes on at once."""
        if data.strip() == _END:
            self.ended = True
            return
        event = _decoded(data)
        if event.get("error"):
            raise Unavailable("The model's provider failed in the middle of its answer.", code="provider_cut")
        self._model = _text(event.get("model")) or self._model
        self._usage = _usage(event.get("usage")) or self._usage
        for choice in _list(event.get("choices"))[:1]:
            self._choice(_dict(choice))

    def reply(self) -> ModelReply:
        """Return the whole answer."""
        text = "".join(self._text)
        calls = tuple(_call(self._calls[index], index) for index in sorted(self._calls))
        if not self.finish and not text and not calls:
            raise malformed("it is empty")
        said = len(text.encode("utf-8", "replace")) + sum(len("".join(c.arguments)) for c in self._calls.values())
        counted = self._usage or (-(-self.sent // BYTES_PER_TOKEN), -(-said // BYTES_PER_TOKEN))
        return ModelReply(
            text=text,
            calls=calls,
            finish=self.finish or "stop",
            usage_in=counted[0],
            usage_out=counted[1],
            estimated=self._usage is None,
            model=self._model or self.call.model,
        )

    def _choice(self, choice: dict[str, Any]) -> None:
        self.finish = _text(choice.get("finish_reason")) or self.finish
        delta = _dict(choice.get("delta") or choice.get("message") or {})
        text = _text(delta.get("content"))
        if text:
            self._text.append(text)
            self.call.on_text(text)
        for position, piece in enumerate(_list(delta.get("tool_calls"))):
            self._piece(_dict(piece), position)

    def _piece(self, piece: dict[str, Any], position: int) -> None:
        index = piece.get("index", position)
        if type(index) is not int or not 0 <= index < MAX_CALLS:
            raise malformed("it has a tool call out of range")
        call = self._calls.setdefault(index, _Call())
        function = _dict(piece.get("function") or {})
        call.id = _text(piece.get("id")) or call.id
        call.name = call.name or _text(function.get("name"))
        arguments = function.get("arguments")
        call.arguments.append(arguments if isinstance(arguments, str) else "")


def whole(call: ModelCall, body: bytes, sent: int) -> ModelReply:
    """Return the answer of a provider that did not stream."""
    if not _list(_decoded(body).get("choices")):
        raise malformed("it has no choices")
    reading = Reading(call, sent)
    reading.take(body)
    return reading.reply()


def _call(call: _Call, index: int) -> Call:
    if not call.name:
        raise malformed("it has a tool call without a name")
    raw = "".join(call.arguments)
    try:
        parsed = msgspec.json.decode(raw or "{}")
    except msgspec.DecodeError:
        parsed = None
    return Call(id=call.id or f"call_{index}", name=call.name, arguments=parsed if isinstance(parsed, dict) else raw)


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        return _dict(msgspec.json.decode(data))
    except msgspec.DecodeError as error:
        raise malformed("it is no JSON") from error


def _dict(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _shapeless()
    return value


def _list(value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise _shapeless()
    return value or []


def _text(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise _shapeless()
    return value or ""


def _shapeless() -> FreeholdError:
    return malformed("it has not the shape of a chat completion")


def _usage(value: object) -> tuple[int, int] | None:
    match value:
        case {"prompt_tokens": int(tokens_in), "completion_tokens": int(tokens_out)} if min(tokens_in, tokens_out) >= 0:
            return tokens_in, tokens_out
        case _:
            return None
