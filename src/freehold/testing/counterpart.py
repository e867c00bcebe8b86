"""
A server outside, on loopback, that remembers every byte it was sent and keeps a ledger of what it did.

It reads requests as they come over the wire, without a library that would tidy them up, so a test sees what a
stranger would see. Whatever is no GET or HEAD is a deed; one under an `Idempotency-Key` it knows is answered as
before and not done again. How it answers, a test says: late, in pieces, packed, elsewhere, or only half.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, final

HOST: Final = "127.0.0.1"
KEY: Final = "idempotency-key"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A request as it came."""

    method: str
    target: str
    """As the first line has it: path and query, or whatever somebody wrote there."""
    headers: tuple[tuple[str, str], ...]
    """Every line, in lower case before the colon."""
    body: bytes
    raw: bytes
    """All of it."""

    def header(self, name: str) -> list[str]:
        """Return every value that was said under `name`."""
        return [value for said, value in self.headers if said == name]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tells:
    """An answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes] = (b"",)
    """The body, each piece written by itself."""
    before: Callable[[], Awaitable[object]] | None = None
    """Awaited before the first byte."""
    between: Callable[[], Awaitable[object]] | None = None
    """Awaited before each piece."""
    cut: bool = False
    """Break off after the pieces, as if more were to come."""
    silent: bool = False
    """Break off without a byte."""


Answers = Callable[[Heard], Tells]


def echo(heard: Heard) -> Tells:
    """Answer with everything that was heard, as error pages and debugging servers do."""
    return Tells(headers={"Content-Type": "text/plain"}, pieces=[heard.raw])


@final
class Counterpart:
    """The server, its memory and its ledger."""

    def __init__(self, answers: Answers) -> None:
        """Answer by `answers`."""
        self.answers = answers
        self.heard: list[Heard] = []
        self.done: Counter[str] = Counter()
        """How often each deed was done, by its key; by method, target and body where it had none."""
        self.port = 0
        self._known: dict[str, Tells] = {}
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def raw(self) -> bytes:
        """Everything it was ever sent."""
        return b"".join(heard.raw for heard in self.heard)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection for as long as it lasts."""
        self._open.add(writer)
        try:
            while (heard := await _heard(reader)) is not None:
                self.heard.append(heard)
                if not await _told(writer, self._answer(heard), heard):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever asked went away
        finally:
            self._open.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        """Close every connection that is open now."""
        for writer in self._open:
            writer.transport.abort()

    def _answer(self, heard: Heard) -> Tells:
        if heard.method in {"GET", "HEAD"}:
            return self.answers(heard)
        key = next(iter(heard.header(KEY)), "")
        if key in self._known:
            return self._known[key]
        self.done[key or f"{heard.method} {heard.target} {heard.body!r}"] += 1
        answer = self.answers(heard)
        if key:
            self._known[key] = Tells(status=answer.status, headers=answer.headers, pieces=answer.pieces)
        return answer


@asynccontextmanager
async def counterpart(answers: Answers = lambda _heard: Tells()) -> AsyncIterator[Counterpart]:
    """Give a counterpart that listens while the block lasts."""
    made = Counterpart(answers)
    server = await asyncio.start_server(made.serve, HOST, 0, limit=1 << 20)
    made.port = int(server.sockets[0].getsockname()[1])
    try:
        yield made
    finally:
        server.close()
        made.hang_up()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 1)


async def _heard(reader: asyncio.StreamReader) -> Heard | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    pairs = [line.partition(":") for line in lines]
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    said = dict(headers)
    body = packed = b""
    if said.get("transfer-encoding", "").lower() == "chunked":
        body, packed = await _chunks(reader)
    elif "content-length" in said:
        body = packed = await reader.readexactly(int(said["content-length"]))
    return Heard(method=method, target=target, headers=headers, body=body, raw=head + packed)


async def _chunks(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    body = raw = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        piece = await reader.readexactly(int(size, 16) + 2)
        body, raw = body + piece[:-2], raw + size + piece
        if len(piece) == len(b"\r\n"):
            return body, raw


async def _told(writer: asyncio.StreamWriter, tells: Tells, heard: Heard) -> bool:
    """Write an answer, and return whether the connection goes on."""
    if tells.before is not None:
        await tells.before()
    if tells.silent:
        return False
    lines = [f"{name}: {value}" for name, value in {"Transfer-Encoding": "chunked", **tells.headers}.items()]
    writer.write("\r\n".join([f"HTTP/1.1 {tells.status} Said", *lines, "", ""]).encode("latin-1"))
    if heard.method == "HEAD" or tells.status in {204, 304}:
        await writer.drain()
        return True
    for piece in tells.pieces:
        if tells.between is not None:
            await tells.between()
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b"")
        await writer.drain()
        await asyncio.sleep(0)  # so that pieces are written, and may be read, one by one
    if tells.cut:
        return False
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True
