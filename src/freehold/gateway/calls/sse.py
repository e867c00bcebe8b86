"""
Cuts a stream of server-sent events into whole events, wherever its chunks end.

Each event is kept as the bytes that came, so that it can be passed on unchanged, and with the data it carries, so
that it can be read. Lines may end in any of the three ways; comments, names and blank lines stay with the event they
came with.
"""

import re
from collections.abc import Iterator
from typing import Final, final

import msgspec

from freehold.core.errors import Unavailable

MAX_EVENT: Final = 16 << 20
"""Bytes of one event; one that carries a picture has some millions."""
_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_DATA: Final = b"data: "
_END: Final = b"\n\n"
_BOM: Final = b"\xef\xbb\xbf"
_OVERLAP: Final = 3
"""Bytes of an unfinished event in which the beginning of a blank line may hide."""


class Event(msgspec.Struct, gc=False):
    """One event."""

    raw: bytes
    """As it came, with the blank line at its end."""
    data: bytes
    """What it carries; empty for a comment."""


@final
class Events:
    """The events of one stream."""

    __slots__ = ("_odd", "_rest", "_seen")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._seen = 0
        self._odd = False  # whether lines end in another way than nearly always

    def feed(self, chunk: bytes) -> list[Event]:
        """Take what came and return the events that it made whole."""
        # Nearly always one event of one line comes at a time.
        if (
            not self._rest
            and chunk[:6] == _DATA
            and chunk[-2:] == _END
            and b"\r" not in chunk
            and chunk.find(b"\n") == len(chunk) - len(_END)
        ):
            return [Event(chunk, chunk[6:-2])]
        self._odd = self._odd or b"\r" in chunk
        if not self._rest:
            return self._cut(chunk)
        self._rest += chunk  # in place: an event may come in a great many pieces
        return self._cut(self._rest)

    def end(self) -> list[Event]:
        """Say that nothing more comes; what has no blank line behind it is an event too, if it carries anything."""
        rest, self._rest = bytes(self._rest), bytearray()
        data = _data(rest)
        if rest == b"\n":  # the other half of a line's end
            return [Event(rest, b"")]
        return [Event(rest + (b"\n" if rest[-1:] in {b"\n", b"\r"} else b"\n\n"), data)] if data else []

    def _cut(self, held: bytes | bytearray) -> list[Event]:
        found, at = [], 0
        for start, end in _odd_ends(held, self._seen) if self._odd else _ends(held, self._seen):
            found.append(Event(bytes(held[at:end]), _data(bytes(held[at:start]))))
            at = end
        if held is self._rest:
            del self._rest[:at]
        else:
            self._rest = bytearray(held[at:])
        self._seen = max(0, len(self._rest) - _OVERLAP)
        if len(self._rest) > MAX_EVENT:
            raise malformed("one of its events is too long")
        return found


def _ends(held: bytes | bytearray, at: int) -> Iterator[tuple[int, int]]:
    """Give where blank lines begin and end; ten times as fast as looking for all three ways in which lines may end."""
    while (found := held.find(_END, at)) >= 0:
        at = found + len(_END)
        yield found, at


def _odd_ends(held: bytes | bytearray, at: int) -> Iterator[tuple[int, int]]:
    return (blank.span() for blank in _BLANK_LINE.finditer(held, at))


def _data(event: bytes) -> bytes:
    """Return what an event carries; it is nearly always one line."""
    if event.startswith(_DATA) and b"\n" not in event and b"\r" not in event:
        return event[6:]
    lines = [line[5:].removeprefix(b" ") for line in event.removeprefix(_BOM).splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines)


def malformed(why: str) -> Unavailable:
    """Return the error that tells that a provider's answer makes no sense."""
    return Unavailable(
        f"The model's provider answered with something that is no answer: {why}.", code="provider_malformed"
    )
