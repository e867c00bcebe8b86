"""
What every translation out of a chat completion shares: the chunks of one taken apart, and a reading around a reading.

The inner reading makes chat completions of whatever a provider says, counts it, and finds what is wrong with it; the
outer one only tells the same in the caller's format.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
from typing_extensions import override

from freehold.gateway.calls.readings import broken_off
from freehold.gateway.calls.sse import Events, malformed
from freehold.gateway.formats import Api, Asked, Reading, Units

END: Final = b"[DONE]"
_SHAPE: Final = "it has not the shape of a chat completion"


class Said(NamedTuple):
    """Text, as it comes."""

    text: str


class Called(NamedTuple):
    """A call of a tool begins."""

    at: int
    id: str
    name: str


class Argued(NamedTuple):
    """A piece of the arguments of a call."""

    at: int
    text: str


class Ended(NamedTuple):
    """The answer is over, for a reason."""

    reason: str


Piece = Said | Called | Argued | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A chat completion in one piece; of several answers the first."""

    text: str
    calls: tuple[tuple[str, str, str], ...]
    """Id, name and arguments of each."""
    reason: str


@dataclass(slots=True)
class Begun:
    """How an answer presents itself."""

    id: str = ""
    model: str = ""
    created: int = 0

    def take(self, told: Mapping[str, Any]) -> None:
        """Learn from a chunk or a whole completion."""
        self.id = self.id or _text(told.get("id")).removeprefix("chatcmpl-")
        self.model = _text(told.get("model")) or self.model
        created = told.get("created")
        self.created = created if type(created) is int and not self.created else self.created


@dataclass(slots=True)
class _Seen:
    """Which calls have begun."""

    calls: set[int] = field(default_factory=set)


class Translated(Reading):
    """A reading around another one. A format says how to tell pieces, the end of a stream, and a whole answer."""

    api: Api

    def __init__(self, inner: Reading, asked: Asked) -> None:
        """Translate what `inner` gives, for whoever `asked`."""
        self.units: Units | None = None
        self.said, self.events, self.finished = 0, 0, False
        self.asked, self.begun = asked, Begun()
        self._inner = inner
        self._cutter = Events()
        self._seen = _Seen()
        self._streamed = self._closed = False

    def start(self) -> bytes:
        """Return the events that come before anything is said."""
        raise NotImplementedError

    def tell(self, piece: Piece) -> bytes:
        """Return the events that tell a piece."""
        raise NotImplementedError

    def stop(self) -> bytes:
        """Return the events at the end of a complete answer."""
        raise NotImplementedError

    def whole(self, answer: Whole) -> dict[str, Any]:
        """Return the document that tells an answer in one piece."""
        raise NotImplementedError

    @override
    def feed(self, chunk: bytes) -> bytes:
        return self._told(self._inner.feed(chunk))

    @override
    def end(self) -> bytes:
        rest = self._inner.end()
        if not self._streamed and rest.lstrip()[:1] == b"{":
            told = _decoded(rest)
            self._mirror()
            self.begun.take(told)
            return msgspec.json.encode(self.whole(_whole(told)))
        shown = self._told(rest)
        shown += b"".join(self._event(event.data) for event in self._cutter.end())
        return shown + self._close() if self.finished else shown

    @override
    def broken(self, code: str, message: str) -> bytes:
        return broken_off(self.api, code, message) if self.asked.stream else b""

    def _told(self, chat: bytes) -> bytes:
        self._mirror()
        return b"".join([self._event(event.data) for event in self._cutter.feed(chat)]) if chat else b""

    def _event(self, data: bytes) -> bytes:
        if not data:
            return b""
        if data == END:
            return self._close()
        told = _decoded(data)
        self.begun.take(told)
        shown = b"" if self._streamed else self.start()
        self._streamed = True
        return shown + b"".join(map(self.tell, pieces(told, self._seen.calls)))

    def _close(self) -> bytes:
        if self._closed or not self._streamed:
            return b""
        self._closed = True
        return self.stop()

    def _mirror(self) -> None:
        inner = self._inner
        self.units, self.said, self.events, self.finished = inner.units, inner.said, inner.events, inner.finished


def pieces(told: Mapping[str, Any], calls: set[int]) -> Iterator[Piece]:
    """Take a chunk of a stream apart; `calls` remembers which calls have begun."""
    for choice in _list(told.get("choices"))[:1]:
        delta = _dict(_dict(choice).get("delta") or {})
        said = _text(delta.get("content")) or _text(delta.get("refusal"))
        if said:
            yield Said(said)
        for position, one in enumerate(_list(delta.get("tool_calls"))):
            yield from _call(_dict(one), position, calls)
        reason = _text(choice.get("finish_reason"))
        if reason:
            yield Ended(reason)


def _call(told: dict[str, Any], position: int, calls: set[int]) -> Iterator[Piece]:
    index = told.get("index", position)
    if type(index) is not int:
        raise malformed(_SHAPE)
    function = _dict(told.get("function") or {})
    if index not in calls:
        calls.add(index)
        yield Called(index, _text(told.get("id")) or f"call_{index}", _text(function.get("name")))
    arguments = _text(function.get("arguments"))
    if arguments:
        yield Argued(index, arguments)


def _whole(told: Mapping[str, Any]) -> Whole:
    choices = _list(told.get("choices"))
    if not choices:
        raise malformed("it has no choices")
    message = _dict(_dict(choices[0]).get("message") or {})
    calls = []
    for position, one in enumerate(_list(message.get("tool_calls"))):
        function = _dict(_dict(one).get("function") or {})
        arguments = _text(function.get("arguments")) or "{}"
        calls.append((_text(one.get("id")) or f"call_{position}", _text(function.get("name")), arguments))
    said = _text(message.get("content")) or _text(message.get("refusal"))
    return Whole(text=said, calls=tuple(calls), reason=_text(choices[0].get("finish_reason")) or "stop")


def arguments_of(text: str) -> dict[str, Any]:
    """Return the arguments of a call, which the caller wants as an object."""
    try:
        return _dict(msgspec.json.decode(text or "{}"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise malformed("it has a call whose arguments are no JSON") from error


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        return _dict(msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed("it is no JSON object") from error


def _dict(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise malformed(_SHAPE)
    return value


def _list(value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise malformed(_SHAPE)
    return value or []


def _text(value: object) -> str:
    """Return a text; of a list of parts, as some providers send, what they say."""
    if isinstance(value, list):
        parts = (part.get("text") for part in value if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    if value is not None and not isinstance(value, str):
        raise malformed(_SHAPE)
    return value or ""
