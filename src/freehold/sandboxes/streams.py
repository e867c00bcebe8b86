"""A stream's outer end: bytes in both directions, each as far as the other side gave credit."""

import asyncio
from typing import Any, final

from typing_extensions import override

from freehold.core.errors import FreeholdError, Unavailable
from freehold.guest import frames
from freehold.sandboxes.answers import failure
from freehold.sandboxes.line import Broken, Channel, Line
from freehold.sandboxes.runtime import Stream


@final
class GuestStream(Stream, Channel):
    """One stream into a sandbox."""

    def __init__(self, line: Line) -> None:
        """Speak over `line`."""
        self._line = line
        self._number = 0
        self._may_come = self._may_go = frames.WINDOW
        self._came: asyncio.Queue[bytes] = asyncio.Queue()
        self._going = asyncio.Event()
        self._error: FreeholdError | None = None
        self._closed = asyncio.Event()

    def open(self, question: dict[str, Any]) -> None:
        """Ask for it."""
        self._number = self._line.open(question, self)

    @override
    async def read(self) -> bytes:
        data = await self._came.get()
        if not data:
            self._came.put_nowait(b"")  # the end stays the end
            if self._error is not None:
                raise self._error
            return b""
        self._may_come += len(data)
        self._line.send(frames.CREDIT, self._number, len(data).to_bytes(4, "big"))
        return data

    @override
    async def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            while self._may_go <= 0 and not self._closed.is_set():
                self._going.clear()
                await self._going.wait()
            if self._closed.is_set():
                raise self._error or Unavailable("The stream is closed.", code="stream_closed", after=0.0)
            piece = left[: min(self._may_go, frames.CHUNK)]
            self._may_go -= len(piece)
            self._line.send(frames.DATA, self._number, bytes(piece))
            left = left[len(piece) :]

    @override
    async def finish(self) -> None:
        self._line.send(frames.END, self._number)

    @override
    async def close(self) -> None:
        self._line.send(frames.CANCEL, self._number)
        await self._closed.wait()

    @override
    def take(self, kind: int, payload: bytes) -> None:
        match kind:
            case frames.DATA if payload and len(payload) <= self._may_come:
                self._may_come -= len(payload)
                self._came.put_nowait(payload)
            case frames.END:
                self._came.put_nowait(b"")
            case frames.CREDIT if len(payload) == 4 and self._may_go + int.from_bytes(payload, "big") <= frames.WINDOW:  # noqa: PLR2004
                self._may_go += int.from_bytes(payload, "big")
                self._going.set()
            case frames.DONE:
                self._over(None)
            case frames.FAILED:
                self._over(failure(payload))
            case _:
                raise Broken("more than was asked for")

    @override
    def lose(self, error: FreeholdError) -> None:
        self._over(error)

    def _over(self, error: FreeholdError | None) -> None:
        self._error = error
        self._closed.set()
        self._going.set()
        self._came.put_nowait(b"")
