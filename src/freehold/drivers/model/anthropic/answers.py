"""What comes back from Anthropic: passed on to who asked in its own format, told as a chat completion to others."""

from types import MappingProxyType
from typing import Any, Final, final

import msgspec
from typing_extensions import override

from freehold.gateway.calls import counting
from freehold.gateway.calls.chat_writing import Completion
from freehold.gateway.calls.readings import (
    NO_WORD,
    Members,
    Plain,
    Stream,
    Whole,
    broken_off,
    decoded,
    failed_inside,
    members_of,
    size,
)
from freehold.gateway.calls.sse import Event, Events, malformed
from freehold.gateway.formats import Answer, Api, Asked, Reading, Units

_REASONS: Final = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
    }
)
_NO_UNITS: Final = Units(requests=0)


def reading(asked: Asked, answer: Answer) -> Reading:
    """Return what reads the answer to a request."""
    if asked.api in {Api.MODELS, Api.COUNT_TOKENS}:
        return Plain(_NO_UNITS)
    streams = answer.headers.get("content-type", "").lower().startswith("text/event-stream")
    if asked.api is Api.CHAT:
        return Told(asked, streams=streams)
    return MessageStream() if streams else Whole(_units, said=_said, needs="content")


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Message(msgspec.Struct, gc=False):
    id: str = ""
    model: str = ""
    usage: msgspec.Raw = NO_WORD


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    id: str = ""
    name: str = ""
    text: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: _Delta | None = None
    message: _Message | None = None
    content_block: _Block | None = None
    usage: msgspec.Raw = NO_WORD


_event: Final = msgspec.json.Decoder(_Event)


@final
class MessageStream(Stream):
    """A streamed message, for who asked for one."""

    api = Api.MESSAGES

    @override
    def read(self, event: Event) -> bytes:
        told = _read(event.data)
        if told.delta is not None and told.type == "content_block_delta":
            self.said += size(told.delta.text or told.delta.partial_json or told.delta.thinking)
            self.events += 1
        elif told.type == "message_stop":
            self.finished = True
        else:
            self.units = _counted(told, self.units)
        return event.raw


@final
class Told(Reading):
    """A message told as a chat completion."""

    def __init__(self, asked: Asked, *, streams: bool) -> None:
        """Tell it to who `asked`; `streams` says how it comes."""
        self.units: Units | None = None
        self.said, self.events, self.finished = 0, 0, False
        self._inner: Reading = MessageStream() if streams else Whole(_units, said=_said, needs="content")
        self._streams = streams
        self._cutter = Events()
        self._to = Completion(stream=streams, usage_wanted=asked.usage_wanted, model=asked.model)
        self._reason = "end_turn"

    @override
    def feed(self, chunk: bytes) -> bytes:
        return self._told(self._inner.feed(chunk))

    @override
    def end(self) -> bytes:
        rest = self._inner.end()
        if self._streams:
            return self._told(rest)
        self._mirror()
        return self._whole(members_of(rest))

    @override
    def broken(self, code: str, message: str) -> bytes:
        return broken_off(Api.CHAT, code, message) if self._streams else b""

    def _told(self, events: bytes) -> bytes:
        self._mirror()
        if not self._streams or not events:
            return b""
        return b"".join([self._piece(_read(event.data)) for event in self._cutter.feed(events) if event.data])

    def _piece(self, told: _Event) -> bytes:
        if told.message is not None:
            self._begin(told.message.id, told.message.model)
        if told.content_block is not None:
            block = told.content_block
            return self._to.call(block.id, block.name) if block.type == "tool_use" else self._to.text(block.text or "")
        if told.delta is not None:
            delta = told.delta
            self._reason = delta.stop_reason or self._reason
            return (
                self._to.text(delta.text or "")
                + self._to.thought(delta.thinking or "")
                + (self._to.arguments(delta.partial_json or "") if self._to.calls else b"")
            )
        return self._to.end(_REASONS.get(self._reason, "stop"), self.units) if told.type == "message_stop" else b""

    def _whole(self, members: Members) -> bytes:
        self._begin(str(decoded(members.get("id")) or ""), str(decoded(members.get("model")) or ""))
        for block in _blocks(members):
            match block:
                case {"type": "text", "text": str(text)}:
                    self._to.text(text)
                case {"type": "thinking", "thinking": str(text)}:
                    self._to.thought(text)
                case {"type": "tool_use", "id": str(call), "name": str(name)}:
                    self._to.call(call, name)
                    self._to.arguments(msgspec.json.encode(block.get("input") or {}).decode())
                case _:
                    pass
        reason = decoded(members.get("stop_reason"))
        return self._to.end(_REASONS.get(str(reason), "stop"), self.units)

    def _begin(self, call: str, model: str) -> None:
        self._to.id = call.removeprefix("msg_")
        self._to.model = model or self._to.model

    def _mirror(self) -> None:
        inner = self._inner
        self.units, self.said, self.events, self.finished = inner.units, inner.said, inner.events, inner.finished


def _read(data: bytes) -> _Event:
    try:
        told = _event.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed("one of its events is none of this format") from error
    if told.type == "error":
        raise failed_inside()
    return told


def _counted(told: _Event, before: Units | None) -> Units | None:
    usage = told.message.usage if told.message else told.usage
    return counting.of_anthropic(decoded(usage), before)


def _units(members: Members) -> Units | None:
    return counting.of_anthropic(decoded(members.get("usage")), None)


def _said(members: Members) -> int:
    return sum(len(msgspec.json.encode(block)) for block in _blocks(members))


def _blocks(members: Members) -> list[Any]:
    content = decoded(members.get("content"))
    return content if isinstance(content, list) else []
