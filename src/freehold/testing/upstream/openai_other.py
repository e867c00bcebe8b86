"""Embeddings, images, sound and the list of models, as OpenAI has them."""

import base64
import hashlib
import re
import struct
from collections.abc import Mapping
from typing import Any, Final

from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.ledger import Entry
from freehold.testing.upstream.plans import tokens, usage_of

MODELS: Final = ("scripted", "scripted-mini")
DIMENSIONS: Final = 8
BYTES_PER_SECOND: Final = 16_000
"""Of the sound that comes to be transcribed."""
PIXEL: Final = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
    )
).decode()
_FIELD: Final = re.compile(rb'name="(\w+)"\r\n(?:[^\r]+\r\n)*\r\n([^\r]*)\r\n--')


def embeddings(body: Mapping[str, Any], act: Act, entry: Entry) -> dict[str, Any]:
    """Return a vector for each input."""
    given = body.get("input", "")
    inputs = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    counts = [len(each) if isinstance(each, list) else tokens(str(each)) for each in inputs]
    entry.input = sum(counts) if act.tokens_in is None else act.tokens_in
    size = int(body.get("dimensions") or DIMENSIONS)
    packed = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector}
        for index, vector in enumerate(vector_of(str(each), size) for each in inputs)
    ]
    said = usage_of(act, {"prompt_tokens": entry.input, "total_tokens": entry.input})
    return {"object": "list", "model": entry.model, "data": data} | ({"usage": said[-1]} if said else {})


def vector_of(text: str, size: int = DIMENSIONS) -> list[float]:
    """Return the same vector for the same text, of numbers that a single float holds exactly."""
    seed = hashlib.sha256(text.encode()).digest()
    return [(seed[n % len(seed)] - 128) / 256 for n in range(size)]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def images(body: Mapping[str, Any], act: Act, entry: Entry) -> dict[str, Any]:
    """Return as many small pictures as were asked for."""
    entry.images = int(body.get("n") or 1)
    return {"created": 1_700_000_000, "data": [{"b64_json": PIXEL} for _ in range(entry.images)]}


def transcription(body: bytes, act: Act, entry: Entry) -> dict[str, Any]:
    """Return what was said, and how long that took."""
    form = {name.decode(): value.decode() for name, value in _FIELD.findall(body)}
    entry.model = form.get("model", "")
    entry.seconds = max(1, -(-sound(body) // BYTES_PER_SECOND))
    said = usage_of(act, {"type": "duration", "seconds": entry.seconds})
    text = "".join(act.text) or "Hello from the scripted upstream."
    full: dict[str, Any] = {"text": text} | ({"usage": said[-1]} if said else {})
    if form.get("response_format") == "verbose_json":
        full |= {"task": "transcribe", "language": "english", "duration": float(entry.seconds), "segments": []}
    return full


def sound(body: bytes) -> int:
    """Return how many bytes the file in a form has."""
    start = body.find(b"\r\n\r\n", body.find(b'filename="')) + 4
    return max(0, body.find(b"\r\n--", start) - start) if b'filename="' in body else 0


def speech(body: Mapping[str, Any], act: Act, entry: Entry) -> bytes:
    """Return sound: a hundred bytes for each character."""
    text = str(body.get("input", ""))
    entry.characters = len(text)
    return (b"ID3" + hashlib.sha256(text.encode()).digest() * 4)[:100] * len(text)


def models(path: str) -> dict[str, Any]:
    """Return the models there are, or the one asked for."""
    named = path.rpartition("/models")[2].strip("/")
    told = [{"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "scripted"} for name in MODELS]
    return next((each for each in told if each["id"] == named), {}) if named else {"object": "list", "data": told}
