"""Blotting out a credential in bytes as they come, wherever they are cut."""

from typing import Final, final

from freehold.gateway.ports import Credential

BLOT: Final = b"[secret]"


@final
class Blot:
    """
    Takes bytes and gives them back without any of the credentials.

    It holds back no more than could be the beginning of one, so a stream stays a stream.
    """

    def __init__(self, *credentials: Credential) -> None:
        """Look for every spelling of `credentials`."""
        spelt = {spelling.encode() for one in credentials for spelling in one.spellings}
        self._spellings = sorted(spelt, key=lambda spelling: (-len(spelling), spelling))
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Return what cannot be the beginning of a credential any more, of all that came."""
        if not self._spellings:
            return piece
        text = self._without(self._held + piece)
        keep = max(_beginning(text, spelling) for spelling in self._spellings)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> bytes:
        """Return the rest: nothing more comes that could make it a credential."""
        rest, self._held = self._held, b""
        return rest

    def whole(self, text: str) -> str:
        """Return a text that is there already, without the credentials."""
        return self._without(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")

    def _without(self, data: bytes) -> bytes:
        for spelling in self._spellings:
            data = data.replace(spelling, BLOT)
        return data


def _beginning(data: bytes, spelling: bytes) -> int:
    """Return how many bytes at the end of `data` may be the beginning of `spelling`."""
    at = data.find(spelling[0], max(0, len(data) - len(spelling) + 1))
    while at >= 0 and not spelling.startswith(data[at:]):
        at = data.find(spelling[0], at + 1)
    return len(data) - at if at >= 0 else 0
