"""
Anthropic's Messages for a provider that only takes chat completions: the answer's half.

Left out because it changes nothing a caller relies on: reasoning that a provider shows. A stop by one of the caller's
own sequences looks like any other end, because a chat completion does not tell the two apart.
"""

from typing import Any, Final, final

from typing_extensions import override

from freehold.gateway.calls import messages_request
from freehold.gateway.calls.readings import named
from freehold.gateway.calls.sse import malformed
from freehold.gateway.calls.translated import Argued, Called, Piece, Said, Translated, Whole, arguments_of
from freehold.gateway.formats import Api, Asked, Inward, Reading, Units

_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


@final
class MessagesIn(Inward):
    """Translates Messages into a chat completion, and the answer back."""

    @override
    def request(self, asked: Asked) -> Asked:
        return messages_request.chat(asked)

    @override
    def reading(self, inner: Reading, asked: Asked) -> Reading:
        return _Message(inner, asked)


@final
class _Message(Translated):
    """Tells a chat completion as a message of Anthropic's."""

    api = Api.MESSAGES

    def __init__(self, inner: Reading, asked: Asked) -> None:
        super().__init__(inner, asked)
        self._block = -1
        """The block that is being said; none before the first."""
        self._open: int | None = None
        """Of the call that is being said its index, -1 for text, and `None` for nothing."""
        self._reason = "end_turn"

    @override
    def start(self) -> bytes:
        return named("message_start", {"type": "message_start", "message": self._message([], None)})

    @override
    def tell(self, piece: Piece) -> bytes:
        match piece:
            case Said(text):
                begun = b"" if self._open == -1 else self._begin(-1, {"type": "text", "text": ""})
                return begun + self._delta({"type": "text_delta", "text": text})
            case Called(index, call, name):
                return self._begin(index, {"type": "tool_use", "id": call, "name": name, "input": {}})
            case Argued(index, text):
                if index != self._open:
                    raise malformed("its calls are mixed up")
                return self._delta({"type": "input_json_delta", "partial_json": text})
            case _:
                self._reason = _REASONS.get(piece.reason, "end_turn")
                return b""

    @override
    def stop(self) -> bytes:
        over = {"stop_reason": self._reason, "stop_sequence": None}
        return (
            self._end()
            + named("message_delta", {"type": "message_delta", "delta": over, "usage": _usage(self.units)})
            + named("message_stop", {"type": "message_stop"})
        )

    @override
    def whole(self, answer: Whole) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
        content += [
            {"type": "tool_use", "id": call, "name": name, "input": arguments_of(arguments)}
            for call, name, arguments in answer.calls
        ]
        return self._message(content, _REASONS.get(answer.reason, "end_turn"))

    def _message(self, content: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
        return {
            "id": f"msg_{self.begun.id}",
            "type": "message",
            "role": "assistant",
            "model": self.begun.model or self.asked.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": _usage(self.units),
        }

    def _begin(self, index: int, block: dict[str, Any]) -> bytes:
        ended = self._end()
        self._open = index
        self._block += 1
        started = {"type": "content_block_start", "index": self._block, "content_block": block}
        return ended + named("content_block_start", started)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return named("content_block_delta", {"type": "content_block_delta", "index": self._block, "delta": delta})

    def _end(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return named("content_block_stop", {"type": "content_block_stop", "index": self._block})


def _usage(units: Units | None) -> dict[str, int]:
    used = units or Units()
    return {
        "input_tokens": used.input - used.cached - used.written,
        "cache_read_input_tokens": used.cached,
        "cache_creation_input_tokens": used.written,
        "output_tokens": used.output,
    }
