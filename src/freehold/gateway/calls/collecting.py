"""
A streamed chat completion put together: what a worker is told, once it is whole.

Every provider's answer comes here in the form of a chat completion; a driver that speaks another form translated it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from freehold.gateway.calls.sse import malformed
from freehold.gateway.ports import Call

MAX_CALLS: Final = 128
_END: Final = b"[DONE]"


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Collected:
    """A reply as far as it has come; text goes on to `say` at once."""

    say: Callable[[str], None]
    finish: str = ""
    model: str = ""
    _text: list[str] = field(default_factory=list)
    _calls: dict[int, _Call] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._text)

    def take(self, data: bytes) -> None:
        """Take the data of one event."""
        if data.strip() == _END:
            return
        event = _dict(_decoded(data))
        self.model = _words(event.get("model")) or self.model
        for choice in _list(event.get("choices"))[:1]:
            self._choice(_dict(choice))

    def calls(self) -> tuple[Call, ...]:
        """Return the calls of the whole reply; raise `Unavailable` where there is neither call nor text."""
        made = tuple(_whole(self._calls[index], index) for index in sorted(self._calls))
        if not self.finish and not self._text and not made:
            raise malformed("it is empty")
        return made

    def _choice(self, choice: dict[str, Any]) -> None:
        self.finish = _words(choice.get("finish_reason")) or self.finish
        delta = _dict(choice.get("delta") or choice.get("message") or {})
        text = _words(delta.get("content"))
        if text:
            self._text.append(text)
            self.say(text)
        for position, piece in enumerate(_list(delta.get("tool_calls"))):
            self._piece(_dict(piece), position)

    def _piece(self, piece: dict[str, Any], position: int) -> None:
        index = piece.get("index", position)
        if type(index) is not int or not 0 <= index < MAX_CALLS:
            raise malformed("it has a tool call out of range")
        call = self._calls.setdefault(index, _Call())
        function = _dict(piece.get("function") or {})
        call.id = _words(piece.get("id")) or call.id
        call.name = call.name or _words(function.get("name"))
        arguments = function.get("arguments")
        call.arguments.append(arguments if isinstance(arguments, str) else "")


def _whole(call: _Call, index: int) -> Call:
    if not call.name:
        raise malformed("it has a tool call without a name")
    raw = "".join(call.arguments)
    try:
        parsed = msgspec.json.decode(raw or "{}")
    except msgspec.DecodeError:
        parsed = None
    return Call(id=call.id or f"call_{index}", name=call.name, arguments=parsed if isinstance(parsed, dict) else raw)


def _decoded(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise malformed("it is no JSON") from error


def _dict(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise malformed("it has not the shape of a chat completion")
    return value


def _list(value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise malformed("it has not the shape of a chat completion")
    return value or []


def _words(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise malformed("it has not the shape of a chat completion")
    return value or ""
