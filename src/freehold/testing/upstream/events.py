"""Events of a stream, and the ways to write one down."""

from dataclasses import dataclass
from typing import Any

import msgspec

from freehold.testing.upstream.acts import Act

NONSENSE = b'{"choices": [{"delta": {"content": "bro'


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    data: Any
    name: str = ""
    tokens: int = 0
    """Generated with it."""
    raw: bytes = b""
    """Its data, where that is no JSON."""
    last: bool = False
    """Whether it only says that this is the end."""


def spelt(event: Event, act: Act, *, malformed: bool = False) -> bytes:
    """Return the bytes of an event."""
    data = NONSENSE if malformed else event.raw or msgspec.json.encode(event.data)
    end = b"\r\n" if act.crlf else b"\n"
    lines = [b": a comment", b""] if act.comments else []
    if event.name:
        lines.append(b"event: " + event.name.encode())
    spread = (
        msgspec.json.format(data, indent=1).split(b"\n") if act.multiline and not (malformed or event.raw) else [data]
    )
    lines += [b"data: " + line for line in spread]
    return end.join([*lines, b"", b""])
