"""
What a WebSocket brings, without the credential that was shown to get it: blotted out where it stands.

Lengths stay as they are, so the frames do too. A message may come in several frames, and a credential in several
pieces: what could be the beginning of one is held back, but never beyond the end of its message. Pure.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, final

from freehold.core.errors import Denied
from freehold.gateway.ports import Credential
from freehold.gateway.requesting.scrubbing import beginning, spellings

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_SHORT: Final = 126
_CONTROL: Final = 0x8
_CONTROL_MOST: Final = 125
_LONGER: Final = {126: 2, 127: 8}
_BLOT: Final = ord("*")
AT_ONCE: Final = 1_000
"""Frames that are looked at in one go: the smallest have two bytes, and others wait meanwhile."""
MOST_HELD: Final = 1 << 18
"""Bytes that may stand behind what could be the beginning of a credential: a server may never end its message."""


class _Span(NamedTuple):
    """A piece of what a message said, and where it stands among what goes on."""

    at: int
    place: int
    size: int

    def behind(self, gone: int) -> "_Span":
        """Return what is left of it without the first `gone` bytes of what was said."""
        cut = max(0, gone - self.at)
        return _Span(max(0, self.at - gone), self.place + cut, self.size - cut)


@final
class Frames:
    """The frames from a server to a program, as they come."""

    def __init__(self, blotted: Iterable[Credential]) -> None:
        """Blot every spelling of `blotted` out."""
        self._spellings = spellings(blotted)
        self._shortest = min(map(len, self._spellings), default=0)
        self._raw = bytearray()
        """Read, and not looked at yet: the beginning of a frame."""
        self.more = False
        """Whether some of what came waits to be looked at: feed it nothing, and it goes on."""
        self._left, self._first = 0, 0
        """Bytes of this frame's payload that are still to come, and how it began."""
        self._out = bytearray()
        """What goes on, as far as it has not gone yet."""
        self._said = bytearray()
        """What a message said, as far as it was not looked through, or a credential may begin there."""
        self._spans: list[_Span] = []
        """Where in `_out` that stands."""

    def feed(self, data: bytes) -> bytes:
        """Return what may go on now; raise `Denied` (`bad_frame`) for what was not agreed upon."""
        if not self._spellings:
            return data
        self._raw += data
        self.more = all(self._step() for _ in range(AT_ONCE))
        self._look(over=False)
        keep = self._spans[0].place if self._spans else len(self._out)
        gone = bytes(self._out[:keep])
        del self._out[:keep]
        self._spans = [span._replace(place=span.place - keep) for span in self._spans]
        if len(self._out) > MOST_HELD:
            raise bad_frame()
        return gone

    def _step(self) -> bool:
        """Take the next piece off what was read; return whether there was one."""
        if self._left:
            piece = bytes(self._raw[: self._left])
            del self._raw[: len(piece)]
            self._left -= len(piece)
            self._payload(piece)
            return bool(piece)
        return self._head()

    def _head(self) -> bool:
        if len(self._raw) < 2:  # noqa: PLR2004 - the least a frame has
            return False
        first, second = self._raw[0], self._raw[1]
        if first & _RESERVED or second & _MASKED:
            raise bad_frame()
        size = _LONGER.get(second, 0)
        if len(self._raw) < 2 + size:
            return False
        length = int.from_bytes(self._raw[2 : 2 + size], "big") if size else second
        if first & _CONTROL and (length > _CONTROL_MOST or not first & _FIN):
            raise bad_frame()
        if first & _CONTROL and len(self._raw) < 2 + length:
            return False
        self._out += self._raw[: 2 + size]
        del self._raw[: 2 + size]
        self._first, self._left = first, length
        if not length:
            self._payload(b"")
        return True

    def _payload(self, piece: bytes) -> None:
        if self._first & _CONTROL:
            self._out += self._without(bytearray(piece))  # whole, and apart from the message it may come in between
            return
        if piece:
            self._spans.append(_Span(len(self._said), len(self._out), len(piece)))
            self._out += piece
            self._said += piece
        if not self._left and self._first & _FIN:
            self._look(over=True)

    def _look(self, *, over: bool) -> None:
        """Look through what a message said so far; `over` is whether that is all of it."""
        if not self._said:
            return
        clean = self._without(self._said)
        if clean != self._said:
            for span in self._spans:
                self._out[span.place : span.place + span.size] = clean[span.at : span.at + span.size]
        gone = len(clean) - (0 if over else beginning(clean, self._spellings))
        self._said = clean[gone:]
        self._spans = [span.behind(gone) for span in self._spans if span.at + span.size > gone]

    def _without(self, said: bytearray) -> bytearray:
        if len(said) < self._shortest:
            return said
        for spelling in self._spellings:
            said = said.replace(spelling, bytes([_BLOT]) * len(spelling))
        return said


def bad_frame() -> Denied:
    """Return the error that tells that a server does not speak as it agreed to."""
    return Denied("The server's frames are not what was agreed upon.", code="bad_frame")
