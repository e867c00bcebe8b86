"""
A name server that means harm: it says one thing to whoever judges and another to whoever connects.

Nothing it says may be remembered (its answers live for zero seconds), and each name has a story: the answers to the
first question, to the second, and so on; the last is said again.
"""

import asyncio
import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast, final

from typing_extensions import override

A, CNAME, AAAA = 1, 5, 28
Story = Sequence[Sequence[str]]
"""The addresses of each answer; a word that is none is another name, which the first one is said to stand for."""
SILENCE: Final = "silence"
"""Said instead of an answer: nothing at all."""
BIG: Final = 60_000
"""Bytes an answer has at most."""


@final
class NameServer(asyncio.DatagramProtocol):
    """Answers by a story for each name."""

    def __init__(self, stories: Mapping[str, Story]) -> None:
        self._stories = stories
        self.asked: Counter[str] = Counter()
        """How often somebody asked for a name's addresses of the old kind."""
        self._transport: asyncio.DatagramTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        name, kind, end = _question(data)
        chapter = self.asked[name]
        self.asked[name] += kind == A
        story = self._stories.get(name, [[]])
        said = story[min(chapter if kind == A else max(chapter - 1, 0), len(story) - 1)]
        if SILENCE in said or self._transport is None:
            return
        records = [record for word in said for record in self._records(word, kind)]
        failed = 0 if name in self._stories else 3
        head = data[:2] + struct.pack("!HHHHH", 0x8580 | failed, 1, len(records), 0, 0)
        self._transport.sendto((head + data[12:end] + b"".join(records))[:BIG], addr)

    def _records(self, word: str, kind: int) -> list[bytes]:
        try:
            address = ipaddress.ip_address(word)
        except ValueError:
            return [_record(b"\xc0\x0c", CNAME, _spelt(word)), *self._of_another(word, kind)]
        fits = kind == (A if address.version == 4 else AAAA)
        return [_record(b"\xc0\x0c", kind, address.packed)] if fits else []

    def _of_another(self, name: str, kind: int) -> list[bytes]:
        """Return what another name means, so that whoever is told of it need not ask."""
        found = [ipaddress.ip_address(word) for word in self._stories.get(name, [["127.0.0.1", "::1"]])[0]]
        wanted = 4 if kind == A else 6
        return [_record(_spelt(name), kind, address.packed) for address in found if address.version == wanted]


@asynccontextmanager
async def name_server(stories: Mapping[str, Story], *, port: int = 53) -> AsyncIterator[NameServer]:
    """Run a name server on this machine while the block lasts."""
    loop = asyncio.get_running_loop()
    where = ("127.0.0.1", port)
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(stories), local_addr=where, family=socket.AF_INET
    )
    try:
        yield server
    finally:
        transport.close()


def _question(data: bytes) -> tuple[str, int, int]:
    """Return the name and the kind that are asked for, and where the question ends."""
    labels, at = [], 12
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    (kind,) = struct.unpack("!H", data[at + 1 : at + 3])
    return ".".join(labels).lower(), kind, at + 5


def _spelt(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"


def _record(name: bytes, kind: int, data: bytes) -> bytes:
    return name + struct.pack("!HHIH", kind, 1, 0, len(data)) + data
