"""
A caller that costs little: requests spelt once, over connections that stay open.

`python -m tests.bench.load JSON` makes the calls that the JSON asks for, and writes what it saw as JSON.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Final, cast, final

import uvloop
from typing_extensions import override

END: Final = b"0\r\n\r\n"
PATIENCE: Final = 120.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is asked for."""

    port: int
    calls: int
    at_once: int = 16
    key: str = ""
    model: str = "scripted"
    stream: bool = False
    rate: float = 0.0
    """Calls a second, whether or not answers have come; none: each connection asks as soon as it was answered."""
    broken: bool = False
    """Whether to hang up in the middle of each answer."""

    @property
    def request(self) -> bytes:
        """Return the bytes of a call."""
        asked = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Say a few words about nothing in particular, please. " * 4}],
            "max_tokens": 100,
            "stream": self.stream,
        }
        body = json.dumps(asked, separators=(",", ":")).encode()
        key = f"authorization: Bearer {self.key}\r\n" if self.key else ""
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n{key}"
        return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Seen:
    """What came back."""

    seconds: float = 0.0
    good: int = 0
    bad: int = 0
    events: int = 0
    milliseconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    """Milliseconds until the first event of a stream."""
    wrong: str = ""
    """The beginning of an answer that was none."""


@final
class Caller(asyncio.Protocol):
    """One connection, one call at a time."""

    def __init__(self, load: Load, seen: Seen) -> None:
        self._load, self._seen, self._request = load, seen, load.request
        self._transport: asyncio.Transport | None = None
        self._told: asyncio.Future[None] | None = None
        self._began = 0.0
        self._got = b""
        self._first = True

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    @override
    def connection_lost(self, _error: Exception | None) -> None:
        if self._told is not None and not self._told.done():
            self._over(good=False)

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def call(self) -> None:
        """Call, and return once the answer is there."""
        assert self._transport is not None
        self._told = asyncio.get_running_loop().create_future()
        self._began, self._got, self._first = time.perf_counter(), b"", True
        self._transport.write(self._request)
        await asyncio.wait_for(self._told, PATIENCE)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @override
    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._load.stream:
            self._read_stream()
        else:
            self._read_whole()

    def _read_whole(self) -> None:
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._got[:end].lower()
        if b"content-length:" in head:
            size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            whole = len(self._got) >= end + 4 + size
        else:
            whole = self._got.endswith(END)
        if whole:
            self._over(good=self._got.startswith(b"HTTP/1.1 200"))

    def _read_stream(self) -> None:
        if self._first and b"data:" in self._got:
            self._first = False
            self._seen.first.append((time.perf_counter() - self._began) * 1000)
            if self._load.broken:
                self._over(good=True)
                self.close()
                return
        if self._got.endswith(END):
            self._over(good=self._got.startswith(b"HTTP/1.1 200") and b"data: [DONE]" in self._got)
        elif not self._got.startswith(b"HTTP/1.1 200"):
            self._read_whole()

    def _over(self, *, good: bool) -> None:
        seen = self._seen
        seen.milliseconds.append((time.perf_counter() - self._began) * 1000)
        seen.good += good
        seen.bad += not good
        seen.events += self._got.count(b"data:")
        if not good and not seen.wrong:
            seen.wrong = self._got[:600].decode(errors="replace") or "hung up"
        if self._told is not None and not self._told.done():
            self._told.set_result(None)


async def run(load: Load) -> Seen:
    """Make the calls and return what came back."""
    seen = Seen()
    began = time.perf_counter()
    await (_paced(load, seen) if load.rate else _packed(load, seen))
    seen.seconds = time.perf_counter() - began
    return seen


async def _packed(load: Load, seen: Seen) -> None:
    left = iter(range(load.calls))

    async def lane() -> None:
        caller = await _connected(load, seen)
        for _ in left:
            if not caller.open:
                caller = await _connected(load, seen)
            await caller.call()
        caller.close()

    await asyncio.gather(*(lane() for _ in range(min(load.at_once, load.calls))))


async def _paced(load: Load, seen: Seen) -> None:
    idle: list[Caller] = [await _connected(load, seen) for _ in range(4)]
    under_way: set[asyncio.Task[None]] = set()

    async def one() -> None:
        caller = idle.pop() if idle else await _connected(load, seen)
        if not caller.open:
            caller = await _connected(load, seen)
        await caller.call()
        idle.append(caller)

    began = time.perf_counter()
    for number in range(load.calls):
        await asyncio.sleep(max(0.0, began + number / load.rate - time.perf_counter()))
        under_way.add(asyncio.create_task(one()))
    await asyncio.gather(*under_way)


async def _connected(load: Load, seen: Seen) -> Caller:
    loop = asyncio.get_running_loop()
    _transport, caller = await loop.create_connection(lambda: Caller(load, seen), "127.0.0.1", load.port)
    return caller


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(run(Load(**json.loads(sys.argv[1])))))))
