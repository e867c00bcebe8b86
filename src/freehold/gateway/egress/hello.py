"""
The first words of TLS, read along on their way: which server a program asks for.

A tunnel shows us bytes and an address; the name in the ClientHello is what the far side goes by. Only what is needed
for that name is read, and whatever two readers might read differently is refused. Pure.
"""

from typing import Final, final

MOST: Final = 16 << 10
"""Bytes of a hello, its records' heads included; those in use have two or three thousand."""
HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_MAJOR: Final = 3
_RECORD: Final = 5
_LONGEST_RECORD: Final = 1 << 14
_HEAD: Final = 4
_FIXED: Final = 34
"""Version and random."""


class NotTls(Exception):
    """These bytes are no ClientHello."""


@final
class Hello:
    """A ClientHello as it comes, in whatever pieces."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self._raw, self._said, self._heard = bytearray(), bytearray(), 0
        self.done = False
        self.name: str | None = None
        """The server that is asked for, once it is `done`; none where the hello names none."""

    def feed(self, data: bytes) -> None:
        """Read on; raise `NotTls` where this can be no hello any more."""
        self._heard += len(data)
        self._raw += data
        at = 0
        while not self.done and len(self._raw) - at >= _RECORD:
            length = self._record(at)
            if len(self._raw) - at < _RECORD + length:
                break
            self._said += self._raw[at + _RECORD : at + _RECORD + length]
            at += _RECORD + length
            self._look()
        del self._raw[:at]
        if not self.done and (self._heard > MOST or (self._raw and self._raw[0] != HANDSHAKE)):
            raise NotTls

    def _record(self, at: int) -> int:
        """Return how long the record is that begins at `at`."""
        length = int.from_bytes(self._raw[at + 3 : at + 5], "big")
        if self._raw[at] != HANDSHAKE or self._raw[at + 1] != _MAJOR or not 0 < length <= _LONGEST_RECORD:
            raise NotTls
        return length

    def _look(self) -> None:
        if self._said[0] != _CLIENT_HELLO:
            raise NotTls
        if len(self._said) < _HEAD:
            return
        length = int.from_bytes(self._said[1:_HEAD], "big")
        if length > MOST:
            raise NotTls
        if len(self._said) >= _HEAD + length:
            self.name, self.done = _name(bytes(self._said[_HEAD : _HEAD + length])), True


@final
class _Reader:
    """Takes fields off some bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        found = self._data[self._at : self._at + count]
        self._at += count
        if len(found) != count:
            raise NotTls
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def field(self, size: int) -> bytes:
        """Return what comes with its length in front, a number of `size` bytes."""
        return self.take(self.number(size))

    @property
    def over(self) -> bool:
        return self._at >= len(self._data)


def _name(hello: bytes) -> str | None:
    """Return the one server that a hello names, if any."""
    body = _Reader(hello)
    body.take(_FIXED)
    for size in (1, 2, 1):  # the session, the ciphers, the ways to pack
        body.field(size)
    if body.over:
        return None
    extensions = _Reader(body.field(2))
    if not body.over:
        raise NotTls
    found: list[str | None] = []
    while not extensions.over:
        kind, content = extensions.number(2), extensions.field(2)
        if kind == _SERVER_NAME:
            found.append(_one_name(content))
    if len(found) > 1:
        raise NotTls
    return found[0] if found else None


def _one_name(content: bytes) -> str:
    outer = _Reader(content)
    names = _Reader(outer.field(2))
    kind, name = names.number(1), names.field(2)
    if kind or not outer.over or not names.over or not name or not name.isascii():
        raise NotTls
    return name.decode("ascii")
