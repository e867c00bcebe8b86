"""Unpacking what a server packed although nobody asked for that: what is packed could hide a credential."""

import zlib
from collections.abc import Callable, Iterator
from typing import Final, final

from freehold.core.errors import Exhausted, Unavailable
from freehold.gateway.outward.exchange import Answer

_GZIP: Final = 16 + zlib.MAX_WBITS
PIECE: Final = 1 << 16
"""Bytes that are unpacked at a time: a thousand times what was sent may come of it, and nobody waits for all that."""


def is_plain(encoding: str) -> bool:
    """Return whether a `content-encoding` says that nothing is packed."""
    return encoding.strip().lower() in {"", "identity"}


@final
class Unpacked:
    """Gives back what was packed, piece by piece, and no more of it than is allowed."""

    def __init__(self, encoding: str, most: int, *, cut: bool = False) -> None:
        """
        Unpack `encoding`, up to `most` bytes; `cut` off there what is more, instead of raising.

        Raises `Unavailable` (`unreadable_answer`) for an encoding that nobody asked for and nobody can look into here.
        """
        said = encoding.strip().lower()
        if not is_plain(said) and said not in {"gzip", "x-gzip", "deflate"}:
            raise unreadable()
        self._left, self._cut = most, cut
        self.full = False
        """Whether more came than is allowed, and was cut off."""
        self._step: Callable[[bytes], Iterator[bytes]] = self._plain if is_plain(said) else self._inflated
        self._packed = zlib.decompressobj(_GZIP) if said in {"gzip", "x-gzip"} else None
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """
        Return what `data` adds.

        Raises `Exhausted` (`too_much`) when more comes than is allowed, `Unavailable` (`unreadable_answer`) for what
        is not packed as it was said to be.
        """
        return b"".join(self.pieces(data))

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Give what `data` adds in pieces, so that others get a turn in between; raise as `feed` does."""
        try:
            for found in self._step(data) if data else ():
                self.full = len(found) > self._left
                if self.full and not self._cut:
                    raise too_much()
                kept = found[: self._left]
                self._left -= len(kept)
                yield kept
                if self.full:
                    return
        except zlib.error as error:
            raise unreadable() from error

    def end(self) -> None:
        """Raise `Unavailable` (`unreadable_answer`) if what was packed is not all there."""
        if self._begun and self._packed is not None and not self._packed.eof:
            raise unreadable()

    def _plain(self, data: bytes) -> Iterator[bytes]:
        yield data

    def _inflated(self, data: bytes) -> Iterator[bytes]:
        if self._packed is None:  # some servers say deflate and mean it without a head
            self._packed = zlib.decompressobj(zlib.MAX_WBITS if data[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS)
        self._begun, found = True, b""
        while data or len(found) == PIECE:  # a whole piece may not be all that came of what was sent
            if data and self._packed.eof:
                self._packed = zlib.decompressobj(_GZIP)  # one packet may follow the other
            found = self._packed.decompress(data, PIECE)
            data = self._packed.unconsumed_tail or self._packed.unused_data
            yield found


async def whole(answer: Answer, most: int) -> bytes:
    """Return all that a server said, unpacked; raise as `Unpacked` does for what is too much or cannot be read."""
    unpacked = Unpacked(answer.headers.get("content-encoding", ""), most)
    said = b"".join([unpacked.feed(chunk) async for chunk in answer.chunks])
    unpacked.end()
    return said


def unreadable() -> Unavailable:
    """Return the error that tells that nobody here can read an answer, and so cannot look for secrets in it."""
    return Unavailable("The server packed its answer in a way that is not understood here.", code="unreadable_answer")


def too_much() -> Exhausted:
    """Return the error that tells that an answer is larger than what is taken."""
    return Exhausted(
        "The server's answer is larger than what is taken.", code="too_much", remedy="Ask for less at once.", status=507
    )
