"""Content from Gemini, told as a chat completion."""

import hashlib
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Final, final

import msgspec
from typing_extensions import override

from freehold.core.errors import Unavailable
from freehold.gateway.calls import counting
from freehold.gateway.calls.chat_writing import Completion
from freehold.gateway.calls.readings import MAX_ANSWER, broken_off, failed_inside
from freehold.gateway.calls.sse import Events, malformed
from freehold.gateway.formats import Api, Asked, Reading, Units

_REASONS: Final = MappingProxyType(
    {"MAX_TOKENS": "length"}
    | dict.fromkeys(
        ("SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE", "IMAGE_SAFETY"),
        "content_filter",
    )
)


@final
class Told(Reading):
    """An answer told as a chat completion; each event of a stream holds a whole piece of it."""

    def __init__(self, asked: Asked, *, streams: bool) -> None:
        """Tell it to who `asked`; `streams` says how it comes."""
        self.units: Units | None = None
        self.said, self.events, self.finished = 0, 0, False
        self._streams = streams
        self._to = Completion(stream=streams, usage_wanted=asked.usage_wanted, model=asked.model)
        self._cutter = Events()
        self._body = bytearray()
        self._reason = ""

    @override
    def feed(self, chunk: bytes) -> bytes:
        if self._streams:
            return b"".join([self._take(event.data) for event in self._cutter.feed(chunk) if event.data])
        self._body += chunk
        if len(self._body) > MAX_ANSWER:
            raise malformed("it is too long")
        return b""

    @override
    def end(self) -> bytes:
        if self._streams:
            return self._rest() + (self._ended() if self.finished else b"")
        self._take(bytes(self._body))
        if not self.finished:
            raise malformed("it has no candidates")
        return self._ended()

    @override
    def broken(self, code: str, message: str) -> bytes:
        return broken_off(Api.CHAT, code, message) if self._streams else b""

    def _rest(self) -> bytes:
        try:
            return b"".join([self._take(event.data) for event in self._cutter.end()])
        except Unavailable as error:
            if error.code != "provider_malformed":
                raise
            return b""  # half an event: the stream was cut, and `finished` says so

    def _ended(self) -> bytes:
        usual = "tool_calls" if self._to.calls else "stop"
        return self._to.end(_REASONS.get(self._reason, usual), self.units)

    def _take(self, data: bytes) -> bytes:
        told = _decoded(data)
        if told.get("error"):
            raise failed_inside()
        self._to.id = self._to.id or str(told.get("responseId") or "")
        self._to.model = str(told.get("modelVersion") or self._to.model)
        self.units = counting.of_gemini(told.get("usageMetadata")) or self.units
        shown = b"".join(map(self._part, _parts(told)))
        self.said, self.events = self._to.said, self._to.events
        reason = _reason(told)
        if reason:
            self._reason, self.finished = reason, True
        return shown

    def _part(self, part: dict[str, Any]) -> bytes:
        match part:
            case {"functionCall": {"name": str(name)} as call}:
                arguments = msgspec.json.encode(call.get("args") or {}).decode()
                return self._to.call(str(call.get("id") or self._name(name)), name) + self._to.arguments(arguments)
            case {"text": str(text), "thought": True}:
                return self._to.thought(text)
            case {"text": str(text)}:
                return self._to.text(text)
            case _:
                return b""

    def _name(self, name: str) -> str:
        """Return a name for a call that has none: another for each answer and call, the same each time it is read."""
        seed = f"{self._to.id}/{self._to.calls}/{name}".encode()
        return f"call_{hashlib.sha256(seed).hexdigest()[:24]}"


def _candidate(told: dict[str, Any]) -> dict[str, Any]:
    match told.get("candidates"):
        case [dict(candidate), *_]:
            return candidate
        case _:
            return {}


def _parts(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match _candidate(told).get("content"):
        case {"parts": list(parts)}:
            yield from (part for part in parts if isinstance(part, dict))
        case _:
            return


def _reason(told: dict[str, Any]) -> str:
    """Return why an answer ended; one whose question was refused ends before it begins."""
    feedback = told.get("promptFeedback")
    if isinstance(feedback, dict) and feedback.get("blockReason"):
        return "SAFETY"
    return str(_candidate(told).get("finishReason") or "")


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed("it is no JSON") from error
    if not isinstance(told, dict):
        raise malformed("it is no JSON object")
    return told
