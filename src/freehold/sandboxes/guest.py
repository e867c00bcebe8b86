"""The outer half of a guest: questions as methods, over a line that trusts nothing it hears."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, final

from typing_extensions import override

from freehold.core.errors import Invalid, Unavailable
from freehold.guest import frames
from freehold.sandboxes.answers import Answer, Gone, Listing, Nothing, decoded
from freehold.sandboxes.line import Broken, Line
from freehold.sandboxes.runtime import (
    DEFAULT_CAP,
    DEFAULT_TIMEOUT,
    Ended,
    Entry,
    Guest,
    OnOutput,
    Port,
    Stream,
)
from freehold.sandboxes.streams import GuestStream

T = TypeVar("T")
GRACE: Final = 10.0
"""Seconds the guest has beyond a time-out, and for everything that has none, before it counts as dead."""
NO_PROGRAM_TEXT: Final = 4096
"""What the guest may say beyond the cap: why a program could not be started."""
MAX_ARGUMENTS: Final = frames.MAX_PAYLOAD // 2


@final
class LineGuest(Guest):
    """Talks to one guest."""

    def __init__(self, line: Line) -> None:
        """Talk over `line`."""
        self._line = line

    @override
    async def run(
        self,
        argv: Sequence[str],
        *,
        key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        stdin: bytes = b"",
        cap: int = DEFAULT_CAP,
        tty: bool = False,
        on_output: OnOutput | None = None,
    ) -> Ended:
        question = {
            "op": "run",
            "argv": spelled(argv),
            "step": hashlib.sha256(key.encode()).hexdigest() if key else None,
            "timeout": timeout,
            "cap": cap,
            "tty": tty,
            "stdin": bool(stdin),
        }
        answer = Answer(cap=cap + NO_PROGRAM_TEXT, on_output=_tell(on_output) if on_output else None)
        gone = await self._ask(question, answer, Gone, within=timeout + GRACE, stdin=stdin)
        return Ended(
            exit=gone.exit,
            stdout=answer.bytes_of(frames.DATA),
            stderr=answer.bytes_of(frames.ERR),
            cut=gone.cut,
            printed=gone.printed,
            timed_out=gone.timed_out,
            interrupted=gone.interrupted,
            repeated=gone.repeated,
            ms=gone.ms,
        )

    @override
    async def stream(self, target: Sequence[str] | Port) -> Stream:
        stream = GuestStream(self._line)
        stream.open(
            {"op": "stream", **({"port": target.number} if isinstance(target, Port) else {"argv": spelled(target)})}
        )
        return stream

    @override
    async def read_file(self, path: str, *, cap: int = DEFAULT_CAP) -> bytes:
        answer = Answer(cap=cap)
        await self._ask({"op": "read", "path": path, "cap": cap}, answer, Nothing)
        return answer.bytes_of(frames.DATA)

    @override
    async def write_file(self, path: str, data: bytes) -> None:
        await self._ask({"op": "write", "path": path}, Answer(cap=0), Nothing, stdin=data)

    @override
    async def list_files(self, path: str = ".") -> list[Entry]:
        listing = await self._ask({"op": "list", "path": path}, Answer(cap=0), Listing)
        return [Entry(name=name, kind=kind, size=size) for name, kind, size in listing.entries]

    @override
    async def delete_file(self, path: str) -> None:
        await self._ask({"op": "delete", "path": path}, Answer(cap=0), Nothing)

    @override
    async def close(self) -> None:
        await self._line.close()

    async def _ask(
        self,
        question: dict[str, Any],
        answer: Answer,
        form: type[T],
        *,
        within: float | None = None,
        stdin: bytes = b"",
    ) -> T:
        channel = self._line.open(question, answer)
        try:
            async with asyncio.timeout(GRACE if within is None else within):
                if stdin:
                    await self._line.pour(channel, stdin)
                self._line.send(frames.END, channel)
                payload = await answer.closed()
        except TimeoutError as error:
            await self._line.close()
            raise Unavailable("The sandbox stopped answering.", code="sandbox_died", after=1.0) from error
        except asyncio.CancelledError:
            await self._cancel(channel, answer.closed)
            raise
        try:
            return decoded(payload, form)
        except Broken as error:
            await self._line.close()
            raise Unavailable(f"The sandbox ended because its guest sent {error}.", code="sandbox_died") from error

    async def _cancel(self, channel: int, closed: Callable[[], Awaitable[bytes]]) -> None:
        """Wait until the guest has killed what was begun, so that nothing of it runs on behind our back."""
        self._line.send(frames.CANCEL, channel)
        waiting = asyncio.ensure_future(closed())
        await asyncio.wait({waiting}, timeout=GRACE)
        if not waiting.done():
            waiting.cancel()
            await self._line.close()


def spelled(argv: Sequence[str]) -> list[str]:
    """Return `argv` as it can be sent; refuse what no program can be started with."""
    if not argv or not argv[0]:
        raise Invalid("A command needs a program.", code="bad_command")
    if any("\0" in one for one in argv):
        raise Invalid("A command has no zero bytes.", code="bad_command")
    if sum(len(one) for one in argv) > MAX_ARGUMENTS:
        raise Invalid("The command is too long.", code="bad_command", remedy="Write it to a file and run that.")
    return list(argv)


def _tell(on_output: OnOutput) -> Callable[[int, bytes], None]:
    def tell(kind: int, data: bytes) -> None:
        on_output("err" if kind == frames.ERR else "out", data)

    return tell
