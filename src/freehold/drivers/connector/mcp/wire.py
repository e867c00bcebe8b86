"""What goes over the wire: JSON-RPC messages, alone in an answer or as a stream of events."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final, final

import msgspec

from freehold.core.errors import Exhausted, Unavailable
from freehold.gateway.outward.exchange import Answer
from freehold.gateway.requesting.scrubbing import Blot
from freehold.gateway.requesting.unpacking import Unpacked
from freehold.store.threads import in_thread

Json = dict[str, Any]

NEWEST: Final = "2025-11-25"
VERSIONS: Final = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", NEWEST})
"""Those that begin with a handshake; the oldest is what some servers still say who speak a newer one."""
MAX_ANSWER: Final = 4 << 20
LARGE: Final = 1 << 16
"""Bytes of a message from which on it is read beside everything else, and of a stream that is read in one go."""
MAX_MESSAGES: Final = 10_000
"""Messages that one answer may hold: progress and logs come beside what was asked for."""
UNKNOWN_METHOD: Final = -32601
STREAM: Final = "text/event-stream"


def request(number: int, method: str, params: Mapping[str, Any]) -> bytes:
    """Return the bytes that ask for `method`."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": dict(params)})


def notice(method: str) -> bytes:
    """Return the bytes that tell of something."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method})


def reply(asked: Json) -> bytes:
    """Return what a server is answered that asks us: it may look whether we are there, and nothing more."""
    told: Json = {"result": {}}
    if asked["method"] != "ping":
        told = {"error": {"code": UNKNOWN_METHOD, "message": "Method not found"}}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": asked["id"], **told})


def malformed(why: str) -> Unavailable:
    """Return the error that tells that an answer makes no sense."""
    return Unavailable(f"The MCP server's answer makes no sense: {why}.", code="mcp_malformed")


@final
class Reading:
    """The messages of one answer, and where to take it up again if it breaks off."""

    def __init__(self, blot: Blot) -> None:
        """Begin at the beginning; leave out what `blot` blots out."""
        self._blot = blot
        self.last = ""
        """The id of the last event; empty where the stream cannot be taken up again."""
        self.pause = 1.0
        """Seconds the server wants us to wait before that."""
        self._read = self._count = 0
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._id = ""
        """What the event that is being read says of both; an event counts once it is whole."""

    async def messages(self, answer: Answer) -> AsyncGenerator[Json, None]:
        """Give each message of `answer`; raise `Unavailable` (`mcp_malformed`) for what is none, `Exhausted` (`too_much`)."""
        stream = kind_of(answer) == STREAM
        whole, unpacked = bytearray(), Unpacked(answer.headers.get("content-encoding", ""), MAX_ANSWER - self._read)
        self._rest.clear()
        self._data.clear()
        self._id = self.last
        async for packed in answer.chunks:
            chunk = unpacked.feed(packed)
            self._read += len(chunk)
            if not stream:
                whole += chunk
                continue
            for at in range(0, len(chunk), LARGE):
                for data in self._events(chunk[at : at + LARGE]):
                    for message in await self._decoded(data):
                        yield message
                await asyncio.sleep(0)
        if whole:
            for message in await self._decoded(bytes(whole)):
                yield message

    async def _decoded(self, data: bytes) -> list[Json]:
        try:
            told = self._understood(data) if len(data) <= LARGE else await in_thread(self._understood, data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed("it is no JSON") from error
        found = told if isinstance(told, list) else [told]
        self._count += len(found)
        if self._count > MAX_MESSAGES:
            raise _too_much()
        if not all(isinstance(message, dict) for message in found):
            raise malformed("it holds what is no message")
        return found

    def _understood(self, data: bytes) -> Any:
        return self._blot.within(msgspec.json.decode(data))

    def _events(self, chunk: bytes) -> Iterator[bytes]:
        self._rest += chunk
        if b"\n" not in chunk and b"\r" not in chunk:
            return
        # What follows the last end of a line waits; so does a lone return, the other half of which may come next.
        end = max(self._rest.rfind(b"\n"), self._rest.rfind(b"\r", 0, len(self._rest) - 1)) + 1
        lines = bytes(self._rest[:end]).splitlines()
        del self._rest[:end]
        for line in lines:
            if line:
                self._line(line)
                continue
            data, self.last = b"\n".join(self._data), self._id
            self._data.clear()
            if data:
                yield data

    def _line(self, line: bytes) -> None:
        name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("latin-1")
        elif name == b"retry" and value.isdigit() and len(value) < 6:  # noqa: PLR2004
            self.pause = int(value) / 1000


def kind_of(answer: Answer) -> str:
    """Return the media type of an answer."""
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _too_much() -> Exhausted:
    return Exhausted("The MCP server says too much.", code="too_much", remedy="Ask for less at once.", status=507)
