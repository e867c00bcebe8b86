"""
Writes a chat completion, whole or as a stream, for providers that answer in a format of their own.

A driver says what came, in order, and gets the bytes a caller understands. What the caller asked for decides the form,
so that usage is told in a stream only to who wanted it.
"""

from dataclasses import dataclass, field
from typing import Any, Final, final

import msgspec

from freehold.gateway.calls import counting
from freehold.gateway.calls.readings import size
from freehold.gateway.formats import Units

END: Final = b"data: [DONE]\n\n"


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list)


@final
class Completion:
    """One chat completion, while it is being written."""

    def __init__(self, *, stream: bool, usage_wanted: bool, model: str) -> None:
        """Write a stream or not, and tell usage in it or not; the answer is by `model` until it says otherwise."""
        self.id, self.model, self.created = "", model, 0
        self.said = 0
        """Bytes of output so far."""
        self.events = 0
        """How many pieces of it came."""
        self.reason = ""
        self._stream, self._usage_wanted = stream, usage_wanted
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[_Call] = []
        self._begun = False

    @property
    def calls(self) -> int:
        """How many calls of tools there are so far."""
        return len(self._calls)

    def text(self, text: str) -> bytes:
        """Say text."""
        if not text:
            return b""
        self._count(text)
        if self._stream:
            return self._chunk({"content": text})
        self._text.append(text)
        return b""

    def thought(self, text: str) -> bytes:
        """Tell reasoning, in the member that providers who show it use."""
        if not text:
            return b""
        self._count(text)
        if self._stream:
            return self._chunk({"reasoning_content": text})
        self._thoughts.append(text)
        return b""

    def call(self, call: str, name: str) -> bytes:
        """Begin the call of a tool."""
        self._calls.append(_Call(call, name))
        if not self._stream:
            return b""
        function = {"name": name, "arguments": ""}
        return self._chunk(
            {"tool_calls": [{"index": self.calls - 1, "id": call, "type": "function", "function": function}]}
        )

    def arguments(self, text: str) -> bytes:
        """Say a piece of the arguments of the newest call."""
        if not text:
            return b""
        self._count(text)
        if self._stream:
            return self._chunk({"tool_calls": [{"index": self.calls - 1, "function": {"arguments": text}}]})
        self._calls[-1].arguments.append(text)
        return b""

    def end(self, reason: str, units: Units | None) -> bytes:
        """End a stream, or return the whole completion."""
        self.reason = reason
        if not self._stream:
            return msgspec.json.encode(self._whole(units))
        ended = self._chunk({}, reason)
        if self._usage_wanted and units is not None:
            ended += self._data({"choices": [], "usage": counting.spelt(units)})
        return ended + END

    def _count(self, text: str) -> None:
        self.said += size(text)
        self.events += 1

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        if not self._begun:
            self._begun = True
            delta = {"role": "assistant", **delta}
        return self._data({"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]})

    def _data(self, told: dict[str, Any]) -> bytes:
        head = {"id": self._name(), "object": "chat.completion.chunk", "created": self.created, "model": self.model}
        return b"data: " + msgspec.json.encode(head | told) + b"\n\n"

    def _whole(self, units: Units | None) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._text) or None, "refusal": None}
        if self._thoughts:
            message["reasoning_content"] = "".join(self._thoughts)
        if self._calls:
            message["tool_calls"] = [_told(call) for call in self._calls]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.reason}
        head = {"id": self._name(), "object": "chat.completion", "created": self.created, "model": self.model}
        usage = {"usage": counting.spelt(units)} if units else {}
        return {**head, "choices": [choice], **usage}

    def _name(self) -> str:
        return f"chatcmpl-{self.id}"


def _told(call: _Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": "".join(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}
