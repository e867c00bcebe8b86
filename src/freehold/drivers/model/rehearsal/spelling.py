"""What the rehearsal model says, as a provider of chat completions spells it; and how it fails."""

import base64
import hashlib
import json
import struct
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from freehold.core.errors import Unavailable
from freehold.drivers.model.rehearsal.knobs import NAME
from freehold.gateway.formats import Answer, Api, Sent
from freehold.gateway.ports import Call

DIMENSIONS: Final = 16
_OURS: Final = frozenset({"model", "stream", "stream_options"})
_AWAY: Final = {"timeout": "provider_timeout", "cut": "provider_cut", "malformed": "provider_malformed"}


@dataclass(frozen=True, slots=True)
class Said:
    """A whole reply."""

    text: str
    calls: tuple[Call, ...]
    usage_in: int
    usage_out: int

    @property
    def finish(self) -> str:
        """Why it ends."""
        return "tool_calls" if self.calls else "stop"


def asked_only(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked, without how it travels; its tokens are counted by that."""
    return {name: value for name, value in body.items() if name not in _OURS}


def event(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    """Return a piece of a reply."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _data({"id": "rehearsal", "object": "chat.completion.chunk", "model": NAME, "choices": [choice]})


def last_events(said: Said) -> bytes:
    """Return how a streamed reply ends: its calls, why it ends, what it used."""
    calls = [{"index": at} | _call(call) for at, call in enumerate(said.calls)]
    told = (event({"tool_calls": calls}) if calls else b"") + event({}, said.finish)
    usage = {"id": "rehearsal", "object": "chat.completion.chunk", "model": NAME, "choices": [], "usage": _usage(said)}
    return told + _data(usage) + b"data: [DONE]\n\n"


def spelt(said: Said) -> bytes:
    """Return a reply as a whole."""
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    if said.calls:
        message["tool_calls"] = [_call(call) for call in said.calls]
    choice = {"index": 0, "message": message, "finish_reason": said.finish}
    told = {"id": "rehearsal", "object": "chat.completion", "created": 0, "model": NAME, "choices": [choice]}
    return json.dumps(told | {"usage": _usage(said)}).encode()


def others(sent: Sent, body: Mapping[str, Any]) -> bytes:
    """Return what is asked beside talk: a vector for each text, or the list of what there is."""
    if sent.headers["api"] == Api.MODELS:
        return json.dumps({"object": "list", "data": [{"id": NAME, "object": "model"}]}).encode()
    given = body.get("input", "")
    texts = given if isinstance(given, list) else [given]
    shown = _packed if body.get("encoding_format") == "base64" else _vector
    data = [{"object": "embedding", "index": at, "embedding": shown(text)} for at, text in enumerate(texts)]
    used = sum(-(-len(str(text).encode("utf-8", "replace")) // 4) for text in texts)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return json.dumps({"object": "list", "model": NAME, "data": data, "usage": usage}).encode()


def failure(fail: str) -> Answer:
    """Return how a provider fails; raise `Unavailable` where it does not even answer."""
    said = f"The rehearsal model was told to fail ({fail})."
    if fail in _AWAY:
        raise Unavailable(said, code=_AWAY[fail], after=1.0)
    headers = {"content-type": "application/json", "retry-after": "1"}
    return Answer(status=int(fail), headers=headers, chunks=once(json.dumps({"error": {"message": said}}).encode()))


async def once(body: bytes) -> AsyncGenerator[bytes, None]:
    """Give a body in one piece."""
    yield body


def _call(call: Call) -> dict[str, Any]:
    arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _usage(said: Said) -> dict[str, int]:
    together = said.usage_in + said.usage_out
    return {"prompt_tokens": said.usage_in, "completion_tokens": said.usage_out, "total_tokens": together}


def _vector(text: object) -> list[float]:
    """Return numbers that are the same for the same text, and other ones for another."""
    digest = hashlib.sha256(str(text).encode("utf-8", "replace")).digest()
    return [byte / 128 - 1 for byte in digest[:DIMENSIONS]]


def _packed(text: object) -> str:
    """Return the same numbers as some clients ask for them."""
    numbers = _vector(text)
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def _data(told: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(told).encode() + b"\n\n"
