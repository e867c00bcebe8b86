"""
A provider that costs next to nothing: the same answer to everybody, spelt once.

`python -m tests.bench.provider PORT`. A stream comes event by event as fast as it can be written,
or with pauses where the request names the model `paced`.
It counts what it answered; `GET /told` says how much that was.
"""

import asyncio
import json
import sys
from typing import Final, cast, final

import uvloop
from typing_extensions import override

EVENTS: Final = 52
PAUSE: Final = 0.02
INPUT, OUTPUT = 20, 50
USAGE: Final = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
HEAD: Final = {"id": "chatcmpl-bench", "created": 1_767_225_600, "model": "scripted"}


def _event(told: object) -> bytes:
    line = f"data: {told if isinstance(told, str) else json.dumps(told)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(line), line)


def _piece(delta: dict[str, str], reason: str | None = None, **more: object) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
    return _event(HEAD | {"object": "chat.completion.chunk", "choices": choices} | more)


def _whole() -> bytes:
    message = {"role": "assistant", "content": "word " * 20}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = json.dumps(HEAD | {"object": "chat.completion", "choices": choices, "usage": USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


STREAM_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
# The usage comes with the last piece that says something, so that there is nothing to ask for.
PIECES: Final = [
    _piece({"role": "assistant", "content": ""}),
    *(_piece({"content": "word "}) for _ in range(EVENTS - 3)),
    _piece({}, "stop", usage=USAGE),
    _event("[DONE]"),
]
END: Final = b"0\r\n\r\n"
JSON: Final = _whole()


@final
class Provider(asyncio.Protocol):
    """One connection."""

    answered = 0

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._got = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    @override
    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = self._got[:end].lower()
            size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._got) < end + 4 + size:
                return
            body, self._got = self._got[end + 4 : end + 4 + size], self._got[end + 4 + size :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        transport = self._transport
        assert transport is not None
        if head.startswith(b"get /told"):
            told = str(Provider.answered).encode()
            transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(told), told))
            return
        Provider.answered += 1
        if b'"stream":true' not in body and b'"stream": true' not in body:
            transport.write(JSON)
        else:
            transport.write(STREAM_HEAD)
            self._say(0, PAUSE if b"paced" in body else 0.0)

    def _say(self, number: int, pause: float) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(PIECES[number])
        if number + 1 < len(PIECES):
            asyncio.get_running_loop().call_later(pause, self._say, number + 1, pause)
        else:
            transport.write(END)


async def main(port: int) -> None:
    """Answer until killed."""
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
