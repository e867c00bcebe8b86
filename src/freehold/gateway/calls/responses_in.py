"""
OpenAI's Responses for a provider that only takes chat completions: the answer's half.

A text is one item of the output, each call of a tool another. Every event carries the number it has in its stream.
"""

from dataclasses import dataclass, field
from typing import Any, Final, final

import msgspec
from typing_extensions import override

from freehold.gateway.calls import responses_request
from freehold.gateway.calls.readings import named
from freehold.gateway.calls.sse import malformed
from freehold.gateway.calls.translated import Argued, Called, Piece, Said, Translated, Whole
from freehold.gateway.formats import Api, Asked, Inward, Reading, Units

Json = dict[str, Any]
_ECHOED: Final = ("instructions", "max_output_tokens", "metadata", "parallel_tool_calls", "temperature", "text")
_ECHOED_TOO: Final = ("tool_choice", "tools", "top_p", "truncation", "reasoning", "store", "user")
_USUAL: Final[Json] = {
    "metadata": {},
    "parallel_tool_calls": True,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "truncation": "disabled",
}
_SHORT: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


@final
class ResponsesIn(Inward):
    """Translates Responses into a chat completion, and the answer back."""

    @override
    def request(self, asked: Asked) -> Asked:
        return responses_request.chat(asked)

    @override
    def reading(self, inner: Reading, asked: Asked) -> Reading:
        return _Response(inner, asked)


@dataclass(slots=True)
class _Item:
    """An item of the output while it is being said."""

    id: str
    call: str = ""
    """The id of a call; empty for text."""
    name: str = ""
    at: int = -1
    """The index of a call; -1 for text."""
    said: list[str] = field(default_factory=list)

    def told(self, status: str = "completed") -> Json:
        """Return the item as it stands in the output; one that is in progress shows nothing yet."""
        text = "".join(self.said)
        if self.call:
            call = {"call_id": self.call, "name": self.name, "arguments": text}
            return {"id": self.id, "type": "function_call", "status": status, **call}
        content = [_part(text)] if status != "in_progress" else []
        return {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": content}


@final
class _Response(Translated):
    """Tells a chat completion as a response."""

    api = Api.RESPONSES

    def __init__(self, inner: Reading, asked: Asked) -> None:
        super().__init__(inner, asked)
        self._items: list[_Item] = []
        self._open: _Item | None = None
        self._reason = "stop"
        self._number = 0

    @override
    def start(self) -> bytes:
        begun = self._response("in_progress")
        return self._numbered("response.created", response=begun) + self._numbered(
            "response.in_progress", response=begun
        )

    @override
    def tell(self, piece: Piece) -> bytes:
        match piece:
            case Said(text):
                begun = b"" if self._open and not self._open.call else self._begin(_Item(self._id("msg")))
                return begun + self._said(text)
            case Called(at, call, name):
                return self._begin(_Item(self._id("fc"), call, name, at))
            case Argued(at, text):
                if self._open is None or self._open.at != at:
                    raise malformed("its calls are mixed up")
                return self._said(text)
            case _:
                self._reason = piece.reason
                return b""

    @override
    def stop(self) -> bytes:
        ended = self._end()
        status = "incomplete" if self._reason in _SHORT else "completed"
        return ended + self._numbered(f"response.{status}", response=self._response(status))

    @override
    def whole(self, answer: Whole) -> Json:
        self._reason = answer.reason
        if answer.text:
            self._items.append(_Item(self._id("msg"), said=[answer.text]))
        for call, name, arguments in answer.calls:
            self._items.append(_Item(self._id("fc"), call, name, said=[arguments]))
        return self._response("incomplete" if answer.reason in _SHORT else "completed")

    @override
    def broken(self, code: str, message: str) -> bytes:
        if not self.asked.stream:
            return b""
        return self._numbered("error", code=code, message=message, param=None)

    def _begin(self, item: _Item) -> bytes:
        ended = self._end()
        self._open = item
        self._items.append(item)
        added = self._numbered("response.output_item.added", **self._place(), item=item.told("in_progress"))
        if not item.call:
            added += self._numbered("response.content_part.added", **self._spot(item), part=_part(""))
        return ended + added

    def _said(self, text: str) -> bytes:
        item = self._open
        if item is None:
            return b""
        item.said.append(text)
        if item.call:
            return self._numbered(
                "response.function_call_arguments.delta", item_id=item.id, **self._place(), delta=text
            )
        return self._numbered("response.output_text.delta", **self._spot(item), delta=text, logprobs=[])

    def _end(self) -> bytes:
        item, self._open = self._open, None
        if item is None:
            return b""
        text = "".join(item.said)
        if item.call:
            told = {"item_id": item.id, **self._place(), "name": item.name, "arguments": text}
            ended = self._numbered("response.function_call_arguments.done", **told)
        else:
            spot = self._spot(item)
            ended = self._numbered("response.output_text.done", **spot, text=text, logprobs=[])
            ended += self._numbered("response.content_part.done", **spot, part=_part(text))
        return ended + self._numbered("response.output_item.done", **self._place(), item=item.told())

    def _place(self) -> Json:
        return {"output_index": len(self._items) - 1}

    def _spot(self, item: _Item) -> Json:
        return {"item_id": item.id, **self._place(), "content_index": 0}

    def _id(self, kind: str) -> str:
        return f"{kind}_{self.begun.id}_{len(self._items)}"

    def _numbered(self, kind: str, **told: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return named(kind, {"type": kind, "sequence_number": number, **told})

    def _response(self, status: str) -> Json:
        over = status != "in_progress"
        asked = msgspec.json.decode(self.asked.body)
        echoed = {name: asked.get(name) for name in _ECHOED + _ECHOED_TOO}
        usual = {name: value for name, value in _USUAL.items() if echoed.get(name) is None}
        short = {"reason": _SHORT[self._reason]} if status == "incomplete" else None
        return {
            "id": f"resp_{self.begun.id}",
            "object": "response",
            "created_at": self.begun.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": short,
            "model": self.begun.model or self.asked.model,
            "output": [item.told() for item in self._items] if over else [],
            "previous_response_id": None,
            **echoed,
            **usual,
            "usage": _usage(self.units) if over else None,
        }


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(units: Units | None) -> Json | None:
    if units is None:
        return None
    return {
        "input_tokens": units.input,
        "input_tokens_details": {"cached_tokens": units.cached},
        "output_tokens": units.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": units.input + units.output,
    }
