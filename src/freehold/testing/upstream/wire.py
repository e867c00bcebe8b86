"""HTTP/1.1 as a provider speaks it, on bare asyncio: thousands of answers a second, and every way to break one off."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Final, cast, final
from urllib.parse import parse_qsl, unquote

from typing_extensions import override

LONGEST_HEAD: Final = 64 << 10
REASONS: Final = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 404: "Not Found"}


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked, whole."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """In lower case; of several of one name the last."""
    body: bytes


Serve = Callable[["Wire", Request], Coroutine[None, None, None] | None]
"""Answers a request at once, or returns what will."""


@final
class Wire(asyncio.Protocol):
    """One connection: takes one request after the other and writes the answers."""

    def __init__(self, serve: Serve, wires: set["Wire"]) -> None:
        """Let `serve` answer; be in `wires` while connected."""
        self._serve, self._wires = serve, wires
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str]] | None = None
        self._needs = 0
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._room = asyncio.Event()
        self._room.set()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._wires.add(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._wires.discard(self)
        self._room.set()
        if self._task is not None:
            self._task.cancel()

    @override
    def pause_writing(self) -> None:
        self._room.clear()

    @override
    def resume_writing(self) -> None:
        self._room.set()

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._take()

    @property
    def open(self) -> bool:
        """Whether anybody is there."""
        return self._transport is not None and not self._transport.is_closing()

    async def room(self) -> None:
        """Wait until the other side takes more."""
        if not self._room.is_set():
            await self._room.wait()

    def write(self, data: bytes) -> None:
        """Write bytes as they stand."""
        if self._transport is not None:
            self._transport.write(data)

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer with a whole body."""
        self.write(head(status, {**headers, "content-length": str(len(body))}) + body)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin an answer that comes in pieces."""
        self.write(head(status, {**headers, "transfer-encoding": "chunked"}))

    def piece(self, data: bytes) -> None:
        """Write a piece of an answer that was begun."""
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self) -> None:
        """End an answer that was begun."""
        self.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Break the connection off."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self) -> None:
        while self._task is None and (request := self._request()) is not None:
            doing = self._serve(self, request)
            if doing is not None:
                self._task = asyncio.get_running_loop().create_task(doing)
                self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self.abort()
            raise error
        if self.open:
            self._take()

    def _request(self) -> Request | None:
        if self._head is None and not self._read_head():
            return None
        assert self._head is not None
        method, target, headers = self._head
        body = self._chunked() if headers.get("transfer-encoding") == "chunked" else self._counted()
        if body is None:
            return None
        self._head = None
        path, _, query = target.partition("?")
        return Request(method, unquote(path), dict(parse_qsl(query)), headers, body)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > LONGEST_HEAD:
                self.abort()
            return False
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        method, target, _ = first.split(" ", 2)
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        self._head, self._needs = (method, target, headers), int(headers.get("content-length") or 0)
        if headers.get("expect", "").lower() == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _counted(self) -> bytes | None:
        if len(self._buffer) < self._needs:
            return None
        body = bytes(self._buffer[: self._needs])
        del self._buffer[: self._needs]
        return body

    def _chunked(self) -> bytes | None:
        found, at = bytearray(), 0
        while (end := self._buffer.find(b"\r\n", at)) >= 0:
            size = int(self._buffer[at:end].split(b";")[0], 16)
            at = end + 2 + size + 2
            if at > len(self._buffer):
                return None
            if size == 0:
                del self._buffer[:at]
                return bytes(found)
            found += self._buffer[end + 2 : at - 2]
        return None


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return the head of an answer."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {REASONS.get(status, 'Said')}\r\n{lines}\r\n".encode("latin-1")
