"""Embeddings by Gemini, asked for and told as OpenAI's."""

import base64
import struct
from typing import Any, final

import msgspec
from typing_extensions import override

from freehold.gateway.calls import bodies, counting
from freehold.gateway.calls.addresses import not_supported
from freehold.gateway.calls.readings import MAX_ANSWER, decoded, members_of
from freehold.gateway.calls.sse import malformed
from freehold.gateway.formats import Asked, Reading, Units


def request(asked: Asked, model: str) -> bytes:
    """Return the body of the request for embeddings that OpenAI's means."""
    told = {name: bodies.value(raw) for name, raw in bodies.top(asked.body).items()}
    texts = [told["input"]] if isinstance(told.get("input"), str) else told.get("input")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise not_supported("input must be text, or several texts, for this model's provider.", name="input")
    usual = {"model": f"models/{model}"}
    if told.get("dimensions") is not None:
        usual["outputDimensionality"] = told["dimensions"]
    return msgspec.json.encode({"requests": [{**usual, "content": {"parts": [{"text": text}]}} for text in texts]})


@final
class Told(Reading):
    """Embeddings told in OpenAI's format, as numbers or packed."""

    def __init__(self, asked: Asked) -> None:
        """Tell them to who `asked`."""
        self.units: Units | None = None
        self.said, self.events, self.finished = 0, 0, False
        self._model = asked.model
        self._packed = bodies.value(bodies.top(asked.body).get("encoding_format")) == "base64"
        self._body = bytearray()

    @override
    def feed(self, chunk: bytes) -> bytes:
        self._body += chunk
        if len(self._body) > MAX_ANSWER:
            raise malformed("it is too long")
        return b""

    @override
    def end(self) -> bytes:
        members = members_of(bytes(self._body))
        self.units = counting.of_gemini(decoded(members.get("usageMetadata")))
        found = decoded(members.get("embeddings"))
        data = [self._vector(at, one) for at, one in enumerate(found if isinstance(found, list) else [])]
        if not data:
            raise malformed("it has no embeddings")
        self.finished = True
        used = self.units.input if self.units else 0
        usage = {"prompt_tokens": used, "total_tokens": used}
        return msgspec.json.encode({"object": "list", "data": data, "model": self._model, "usage": usage})

    @override
    def broken(self, code: str, message: str) -> bytes:
        return b""

    def _vector(self, at: int, told: Any) -> dict[str, Any]:
        match told:
            case {"values": list(values)}:
                pass
            case _:
                raise malformed("it has no embeddings")
        try:
            packed = struct.pack(f"<{len(values)}f", *values)
        except (struct.error, OverflowError) as error:
            raise malformed("its embeddings are no numbers") from error
        shown = base64.b64encode(packed).decode() if self._packed else values
        return {"object": "embedding", "index": at, "embedding": shown}
