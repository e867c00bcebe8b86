"""
Counterparts on loopback that do as a script says: a model provider and a receiver of webhooks.

They are real servers on real sockets, so that what is tested is what a provider would see and send; each
remembers what it was asked.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, final

from aiohttp import web

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """An answer: pieces of text, tool calls, usage."""

    pieces: Sequence[str] = ()
    calls: Sequence[tuple[str, str]] = ()
    """Name and raw arguments of each tool call."""
    usage: tuple[int, int] | None = (10, 5)
    plain: bool = False
    """Answer with plain JSON, as a provider that cannot stream."""
    cut_after: int | None = None
    """Close the connection after this many events."""
    gate: Callable[[int], Any] | None = None
    """Awaited before each event with its number: lets a test decide when the next one comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fails:
    """An error answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": {"message": "no"}}'


@dataclass(frozen=True, slots=True)
class Sends:
    """Bytes as they stand, under a content type."""

    body: bytes
    kind: str = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Hangs:
    """Silence."""


Reply = Says | Fails | Sends | Hangs


@final
class Provider:
    """A provider that speaks OpenAI chat completions, one scripted reply after the other; the last one for ever."""

    def __init__(self, script: Sequence[Reply]) -> None:
        """Answer by `script`."""
        self.script = list(script)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.base_url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        match reply:
            case Says():
                return await _say(request, reply)
            case Fails():
                return web.Response(status=reply.status, headers=reply.headers, body=reply.body)
            case Sends():
                return web.Response(body=reply.body, content_type=reply.kind)
            case Hangs():
                await asyncio.Event().wait()
                raise AssertionError("Nobody sets that event.")


@final
class Receiver:
    """A receiver of webhooks that answers with one status after the other; the last one for ever."""

    def __init__(self, statuses: Sequence[int]) -> None:
        """Answer with `statuses`."""
        self.statuses = list(statuses)
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        body = await request.read()
        self.received.append(({name.lower(): value for name, value in request.headers.items()}, body))
        return web.Response(status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


@asynccontextmanager
async def provider(*script: Reply) -> AsyncIterator[Provider]:
    """Give a provider that listens while the block lasts."""
    made = Provider(script)
    async with _listening("/v1/chat/completions", made.answer) as port:
        made.base_url = f"http://{HOST}:{port}/v1"
        yield made


@asynccontextmanager
async def receiver(*statuses: int) -> AsyncIterator[Receiver]:
    """Give a receiver that listens while the block lasts; without a status it says 204."""
    made = Receiver(statuses or (204,))
    async with _listening("/hook", made.answer) as port:
        made.url = f"http://{HOST}:{port}/hook"
        yield made


@asynccontextmanager
async def _listening(path: str, answer: Callable[[web.Request], Any]) -> AsyncIterator[int]:
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post(path, answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _say(request: web.Request, reply: Says) -> web.StreamResponse:
    if reply.plain:
        return web.json_response(_whole(reply))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number, event in enumerate(_events(reply)):
        if reply.gate is not None:
            await reply.gate(number)
        if number == reply.cut_after:
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    return response


def _events(reply: Says) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"content": piece} for piece in reply.pieces]
    for index, (name, arguments) in enumerate(reply.calls):
        head = {"index": index, "id": f"call_{index}", "function": {"name": name, "arguments": arguments[:3]}}
        rest = {"index": index, "function": {"arguments": arguments[3:]}}
        deltas += [{"tool_calls": [head]}, {"tool_calls": [rest]}]
    events: list[dict[str, Any]] = [
        {"model": "scripted", "choices": [{"index": 0, "delta": delta}]} for delta in deltas
    ]
    events.append({"model": "scripted", "choices": [{"index": 0, "delta": {}, "finish_reason": _finish(reply)}]})
    if reply.usage is not None:
        events.append({"model": "scripted", "choices": [], "usage": _usage(reply.usage)})
    return events


def _whole(reply: Says) -> dict[str, Any]:
    calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(reply.calls)
    ]
    message = {"role": "assistant", "content": "".join(reply.pieces), "tool_calls": calls}
    whole: dict[str, Any] = {
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(reply)}],
    }
    return whole | ({"usage": _usage(reply.usage)} if reply.usage is not None else {})


def _finish(reply: Says) -> str:
    return "tool_calls" if reply.calls else "stop"


def _usage(usage: tuple[int, int]) -> dict[str, int]:
    return {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
