"""Blotting out a credential in what comes back, wherever it is cut and whatever it stands in."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, final

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
        self._spellings = spellings(credentials)
        self._shortest = min(map(len, self._spellings), default=0)
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Return what cannot be the beginning of a credential any more, of all that came."""
        text = self._without(self._held + piece)
        keep = beginning(text, self._spellings)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> bytes:
        """Return the rest: nothing more comes that could make it a credential."""
        rest, self._held = self._held, b""
        return rest

    def whole(self, text: str) -> str:
        """Return a text that is there already, without the credentials."""
        return self._without(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")

    def within(self, value: Any) -> Any:
        """Return a value as JSON has it, without the credentials wherever in it they stand."""
        if isinstance(value, str):
            return self.whole(value)
        if isinstance(value, dict):
            return {self.whole(name): self.within(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.within(one) for one in value]
        clean = self.whole(str(value))  # a credential may be all digits
        return value if value is None or isinstance(value, bool) or clean == str(value) else clean

    def _without(self, data: bytes) -> bytes:
        if len(data) < self._shortest:
            return data
        for spelling in self._spellings:
            data = data.replace(spelling, BLOT)
        return data


def spellings(credentials: Iterable[Credential]) -> list[bytes]:
    """Return how `credentials` look when they are repeated, the longest first."""
    found = {spelling.encode() for one in credentials for spelling in one.spellings}
    return sorted(found, key=lambda spelling: (-len(spelling), spelling))


def beginning(data: bytes | bytearray, wanted: Sequence[bytes]) -> int:
    """Return how many bytes at the end of `data` may be the beginning of one of the spellings that are `wanted`."""
    return max((_beginning(data, spelling) for spelling in wanted), default=0)


def _beginning(data: bytes | bytearray, spelling: bytes) -> int:
    at = data.find(spelling[0], max(0, len(data) - len(spelling) + 1))
    while at >= 0 and not spelling.startswith(data[at:]):
        at = data.find(spelling[0], at + 1)
    return len(data) - at if at >= 0 else 0
