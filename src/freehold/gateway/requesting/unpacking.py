"""Unpacking what a server packed although nobody asked for that: what is packed could hide a credential."""

import zlib
from collections.abc import Callable
from typing import Final, final

from freehold.core.errors import Exhausted, Unavailable

_GZIP: Final = 16 + zlib.MAX_WBITS
_SMALLEST: Final = 18
"""Bytes of the shortest thing that gzip makes."""


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
        self._step: Callable[[bytes], bytes] = self._plain if is_plain(said) else self._inflated
        self._packed = zlib.decompressobj(_GZIP) if said in {"gzip", "x-gzip"} else None
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """
        Return what `data` adds.

        Raises `Exhausted` (`too_much`) when more comes than is allowed, `Unavailable` (`unreadable_answer`) for what
        is not packed as it was said to be.
        """
        try:
            found = self._step(data) if data else b""
        except zlib.error as error:
            raise unreadable() from error
        self.full = len(found) > self._left
        if self.full and not self._cut:
            raise too_much()
        found = found[: self._left]
        self._left -= len(found)
        return found

    def end(self) -> None:
        """Raise `Unavailable` (`unreadable_answer`) if what was packed is not all there."""
        if self._begun and self._packed is not None and not self._packed.eof:
            raise unreadable()

    def _plain(self, data: bytes) -> bytes:
        return data

    def _inflated(self, data: bytes) -> bytes:
        if self._packed is None:  # some servers say deflate and mean it without a head
            self._packed = zlib.decompressobj(zlib.MAX_WBITS if data[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS)
        self._begun, found = True, b""
        while data and len(found) <= self._left:
            if self._packed.eof:
                self._packed = zlib.decompressobj(_GZIP)  # one packet may follow the other
            found += self._packed.decompress(data, self._left - len(found) + 1)
            data = self._packed.unconsumed_tail or self._packed.unused_data
        return found


def unreadable() -> Unavailable:
    """Return the error that tells that nobody here can read an answer, and so cannot look for secrets in it."""
    return Unavailable("The server packed its answer in a way that is not understood here.", code="unreadable_answer")


def too_much() -> Exhausted:
    """Return the error that tells that an answer is larger than what is taken."""
    return Exhausted(
        "The server's answer is larger than what is taken.", code="too_much", remedy="Ask for less at once.", status=507
    )
