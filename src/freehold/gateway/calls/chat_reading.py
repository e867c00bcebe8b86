"""Readings of chat completions: the format that most providers speak, and all that is translated goes through."""

from typing import Any, Final, final

import msgspec
from typing_extensions import override

from freehold.gateway.calls import counting
from freehold.gateway.calls.readings import (
    NO_WORD,
    Members,
    Stream,
    Whole,
    decoded,
    failed_inside,
    is_said,
    members_of,
    size,
)
from freehold.gateway.calls.sse import Event
from freehold.gateway.formats import Answer, Api, Asked, Reading, Units

END: Final = b"[DONE]"


class _Function(msgspec.Struct, gc=False):
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NO_WORD
    error: msgspec.Raw = NO_WORD


_chunk: Final = msgspec.json.Decoder(_Chunk)


def reading(asked: Asked, answer: Answer) -> Reading:
    """Return what reads a chat completion, by what its provider says it is; not all stream when they are asked to."""
    if answer.headers.get("content-type", "").lower().startswith("text/event-stream"):
        return ChatStream(hide_usage=not asked.usage_wanted)
    return Whole(whole_units, said=whole_said, needs="choices")


@final
class ChatStream(Stream):
    """A streamed chat completion."""

    api = Api.CHAT

    def __init__(self, *, hide_usage: bool = False) -> None:
        """Keep back the chunk that only tells usage, if the caller did not ask for it."""
        super().__init__()
        self._hide_usage = hide_usage

    @override
    def read(self, event: Event) -> bytes:
        if event.data == END:
            self.finished = True
            return event.raw
        try:
            chunk = _chunk.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._odd(event)
        if chunk.error is not NO_WORD and is_said(chunk.error):
            raise failed_inside()
        for choice in chunk.choices or ():
            self._choice(choice)
        if chunk.usage is not NO_WORD and is_said(chunk.usage):
            self.units = counting.of_openai(decoded(chunk.usage)) or self.units
            if self._hide_usage and not chunk.choices:
                return b""
        return event.raw

    def _choice(self, choice: _Choice) -> None:
        if choice.finish_reason:
            self.finished = True
        delta = choice.delta
        if delta is None:
            return
        said = size(delta.content) + size(delta.reasoning_content or delta.reasoning or delta.refusal)
        if delta.tool_calls:
            said += sum(size(call.function.arguments) for call in delta.tool_calls if call.function)
        if said:
            self.said += said
            self.events += 1

    def _odd(self, event: Event) -> bytes:
        """Read a chunk of another shape: its own business as long as it is JSON; all of it counts as output."""
        members = members_of(event.data)
        if is_said(members.get("error")):
            raise failed_inside()
        self.units = counting.of_openai(decoded(members.get("usage"))) or self.units
        self.finished = self.finished or (b'"finish_reason":"' in event.data.replace(b" ", b""))
        self.said += len(event.data)
        self.events += 1
        return event.raw


def whole_units(members: Members) -> Units | None:
    """Return the units that an answer in one piece tells."""
    return counting.of_openai(decoded(members.get("usage")))


def whole_said(members: Members) -> int:
    """Return how much an answer in one piece says."""
    choices = decoded(members.get("choices"))
    return sum(_said(choice) for choice in choices if isinstance(choice, dict)) if isinstance(choices, list) else 0


def _said(choice: dict[str, Any]) -> int:
    message = choice.get("message")
    if not isinstance(message, dict):
        return 0
    words = (message.get(name) for name in ("content", "reasoning_content", "reasoning", "refusal"))
    calls = message.get("tool_calls")
    return sum(size(word) for word in words) + (len(msgspec.json.encode(calls)) if calls else 0)
