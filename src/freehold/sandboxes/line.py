"""
The line to a guest: frames in and out, and many questions under way at once.

What comes back is hostile. A frame too long, of a kind the guest does not send, on a channel nobody opened, or more
bytes than were asked for, and the line is cut: every question under way fails, and the driver ends the sandbox.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, final

import msgspec

from freehold.core.errors import FreeholdError, Unavailable
from freehold.guest import frames

READY_SECONDS: Final = 15.0
HIGH_WATER: Final = 1 << 18

Why = Callable[[], Awaitable[FreeholdError | None]]
"""Asks the driver why a sandbox ended; none: nobody knows more than that it did."""


class Broken(Exception):
    """The guest said what a guest never says."""


class Channel(Protocol):
    """What waits for one question's answer."""

    def take(self, kind: int, payload: bytes) -> None:
        """Take a frame; raises `Broken` when it should not have come."""
        ...

    def lose(self, error: FreeholdError) -> None:
        """Take note that no answer will come."""
        ...


async def nobody_knows() -> FreeholdError | None:
    """Know no more than that the sandbox ended."""
    return None


@final
class Line:
    """Both directions of one guest's descriptor."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, why: Why, gone: Callable[[], None]
    ) -> None:
        """Read from `reader`; ask `why` when it ends, and call `gone` once."""
        self._reader, self._writer, self._why, self._gone = reader, writer, why, gone
        self._channels: dict[int, Channel] = {}
        self._count = 0
        self._over: FreeholdError | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def over(
        cls, end: socket.socket, *, why: Why = nobody_knows, gone: Callable[[], None] = lambda: None
    ) -> "Line":
        """Return the line over our `end` once the guest has said that it is there."""
        end.setblocking(False)  # noqa: FBT003 - it takes no name
        reader, writer = await asyncio.open_connection(sock=end, limit=frames.CHUNK * 4)
        writer.transport.set_write_buffer_limits(high=HIGH_WATER)
        line = cls(reader, writer, why=why, gone=gone)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.shield(line._ready)
        except TimeoutError as error:
            await line.close()
            raise Unavailable("The sandbox did not come up in time.", code="sandbox_died", after=1.0) from error
        except BaseException:
            await line.close()
            raise
        return line

    def open(self, question: dict[str, Any], channel: Channel) -> int:
        """Ask; return the number of the channel the answer comes on."""
        if self._over is not None:
            raise self._over
        self._count += 1
        self._channels[self._count] = channel
        self.send(frames.OPEN, self._count, msgspec.json.encode(question))
        return self._count

    def send(self, kind: int, channel: int, payload: bytes = b"") -> None:
        """Send a frame; what a dead guest does not take is dropped."""
        if self._over is None:
            self._writer.write(frames.pack(kind, channel, payload))

    async def pour(self, channel: int, data: bytes) -> None:
        """Send bytes in pieces, as fast as the guest takes them."""
        for at in range(0, len(data), frames.CHUNK):
            self.send(frames.DATA, channel, data[at : at + frames.CHUNK])
            try:
                await self._writer.drain()
            except OSError:
                return  # the answer, or its absence, says why

    async def close(self) -> None:
        """Hang up."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._writer.transport.abort()
        self._end(Unavailable("The sandbox was put to sleep.", code="sandbox_died", after=0.0))

    async def _listen(self) -> None:
        said = ""
        try:
            while True:
                kind, number, length = frames.unpack(await self._reader.readexactly(frames.HEADER))
                if length > frames.MAX_PAYLOAD or kind not in frames.FROM_GUEST:
                    raise Broken("a frame it never sends")  # noqa: TRY301 - the one place that ends a line
                self._dispatch(kind, number, await self._reader.readexactly(length) if length else b"")
        except Broken as error:
            said = f" because its guest sent {error}"
        except (asyncio.IncompleteReadError, OSError):
            pass
        self._writer.transport.abort()
        reason = await self._why()
        self._end(reason or Unavailable(f"The sandbox ended{said}.", code="sandbox_died", after=1.0))

    def _dispatch(self, kind: int, number: int, payload: bytes) -> None:
        if kind == frames.READY:
            if self._ready.done():
                raise Broken("a second greeting")
            self._ready.set_result(None)
            return
        channel = self._channels.get(number)
        if channel is None:
            raise Broken("an answer to a question nobody asked")
        channel.take(kind, payload)
        if kind in {frames.DONE, frames.FAILED}:  # not before it was believed: whoever waits must be told otherwise
            del self._channels[number]

    def _end(self, error: FreeholdError) -> None:
        if self._over is not None:
            return
        self._over = error
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # whoever waits is told; nobody waiting is no bug
        for channel in self._channels.values():
            channel.lose(error)
        self._channels.clear()
        self._gone()
