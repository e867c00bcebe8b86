"""Answers of providers, and what readings make of them."""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from freehold.gateway.calls.sse import Events
from freehold.gateway.formats import Answer, Api, Asked, Reading
from freehold.gateway.ports import Credential

KEY = Credential("sk-secret-of-the-provider")


def asked(api: Api, body: dict[str, Any], **said: Any) -> Asked:
    """Return a request as the door makes it."""
    stream = bool(body.get("stream"))
    return Asked(api=api, model=body.get("model", "m"), body=json.dumps(body).encode(), **{"stream": stream, **said})


def answer(content_type: str = "application/json", status: int = 200) -> Answer:
    """Return the head of an answer."""
    return Answer(status=status, headers={"content-type": content_type}, chunks=nothing())


async def nothing() -> AsyncGenerator[bytes, None]:
    """Give no body."""
    return
    yield b""


def through(reading: Reading, *chunks: bytes) -> bytes:
    """Return what a caller is given of an answer that came in `chunks`."""
    return b"".join([reading.feed(chunk) for chunk in chunks]) + reading.end()


def stream(*told: object, end: bool = True) -> bytes:
    """Return a stream as OpenAI spells it."""
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in told) + (
        b"data: [DONE]\n\n" if end else b""
    )


def named(*told: dict[str, Any]) -> bytes:
    """Return a stream whose events carry their type and are named by it."""
    return b"".join(b"event: %s\ndata: %s\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in told)


def data(raw: bytes) -> list[Any]:
    """Return what the events of a stream carry."""
    return [json.loads(event.data) for event in Events().feed(raw) if event.data and event.data != b"[DONE]"]


def pieces(raw: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Return `raw` cut into pieces of these sizes, over and over."""
    found, at, turn = [], 0, 0
    while at < len(raw):
        size = sizes[turn % len(sizes)]
        found.append(raw[at : at + size])
        at, turn = at + size, turn + 1
    return found
