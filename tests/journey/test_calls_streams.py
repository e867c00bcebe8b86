"""Streams through the gateway: each event as it comes, nothing that was not asked for, and an end that is told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.upstream.acts import Act
from tests.calling import CHAT, CLAUDE, GEMINI, Desk, calling, chat

ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": CHAT}),
    "responses": ("/v1/responses", {"model": CHAT}),
    "messages": ("/v1/messages", {"model": CLAUDE, "max_tokens": 900}),
    "chat-by-anthropic": ("/v1/chat/completions", {"model": CLAUDE}),
    "chat-by-gemini": ("/v1/chat/completions", {"model": GEMINI}),
    "messages-by-openai": ("/v1/messages", {"model": CHAT, "max_tokens": 900}),
    "responses-by-anthropic": ("/v1/responses", {"model": CLAUDE}),
}
AS_THEY_ARE = ("chat", "responses", "messages")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with calling(tmp_path) as made:
        yield made


def asked(api: str, text: str = "Hello", **more: Any) -> tuple[str, dict[str, Any]]:
    path, body = ASKED[api]
    said = {"input": text} if path == "/v1/responses" else {"messages": [{"role": "user", "content": text}]}
    return path, body | said | {"stream": True} | more


async def event(answer: Any) -> bytes:
    """Read one whole event."""
    return bytes(await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 10))


@pytest.mark.parametrize("api", AS_THEY_ARE)
async def test_each_event_reaches_the_caller_before_the_next_one_is_said(desk: Desk, api: str) -> None:
    gates = [asyncio.Event() for _ in range(40)]
    desk.upstream.script.append(Act(words=6, gate=lambda number: gates[number].wait()))
    path, body = asked(api)
    gates[0].set()
    async with desk.asking(path, body) as answer:
        for gate in gates[1:8]:
            assert await event(answer)
            gate.set()
        for gate in gates[8:]:
            gate.set()
        assert await answer.read()


async def test_usage_that_nobody_asked_for_is_not_shown(desk: Desk) -> None:
    said = await desk.chat(stream=True)
    assert b'"usage"' not in said.body
    assert b'"choices":[]' not in said.body
    assert b'"include_usage":true' in desk.upstream.requests[-1].body
    assert said.body.endswith(b"data: [DONE]\n\n")


async def test_usage_is_shown_to_who_asks(desk: Desk) -> None:
    said = await desk.chat(stream=True, stream_options={"include_usage": True})
    assert said.body.count(b'"completion_tokens":5') == 1


@pytest.mark.parametrize("api", ["chat", "messages", "chat-by-gemini"])
async def test_who_reads_slowly_slows_the_provider_down(desk: Desk, api: str) -> None:
    pieces = 1_500
    desk.upstream.script.append(Act(text=["x" * 20_000] * pieces))
    path, body = asked(api)
    async with desk.asking(path, body) as answer:
        await event(answer)
        entry, before = desk.upstream.ledger.last, -1
        while entry.events != before:
            before = entry.events
            await asyncio.sleep(0.3)
        assert 0 < entry.events < pieces / 2
        answer.close()
    await desk.upstream.idle(30)


@pytest.mark.parametrize("wrong", [Act(cut=9), Act(error=9), Act(malformed=9)], ids=["cut", "error", "malformed"])
@pytest.mark.parametrize("api", ASKED)
async def test_what_breaks_in_the_middle_is_told_in_the_stream(desk: Desk, api: str, wrong: Act) -> None:
    seen = asyncio.Event()

    async def wait(number: int) -> None:
        if number == 9:
            await seen.wait()

    desk.upstream.script.append(replace(wrong, words=20, gate=wait))
    path, body = asked(api)
    async with desk.asking(path, body) as answer:
        assert answer.status == 200
        shown = b""
        while b"w1 " not in shown:
            shown += await event(answer)
        seen.set()
        shown += await answer.read()
    assert b'"error"' in shown.strip().split(b"\n\n")[-1]
    assert b"w19" not in shown


@pytest.mark.parametrize("api", AS_THEY_ARE)
async def test_what_came_with_the_error_is_not_lost(desk: Desk, api: str) -> None:
    seen = asyncio.Event()

    async def wait(number: int) -> None:
        if number == 7:
            await seen.wait()

    desk.upstream.script.append(Act(words=20, gate=wait, error=12))
    path, body = asked(api)
    async with desk.asking(path, body) as answer:
        shown = b""
        while b"w1 " not in shown:
            shown += await event(answer)
        seen.set()
        shown += await answer.read()
    assert b"w6 " in shown
    assert b'"error"' in shown.strip().split(b"\n\n")[-1]


@pytest.mark.parametrize("api", ASKED)
async def test_who_leaves_is_charged_for_what_the_provider_says_to_the_end(desk: Desk, api: str) -> None:
    gate = asyncio.Event()

    async def wait(number: int) -> None:
        if number > 5:
            await gate.wait()

    desk.upstream.script.append(Act(words=30, gate=wait))
    path, body = asked(api)
    async with desk.asking(path, body) as answer:
        await event(answer)
        answer.close()
    gate.set()
    spent = await desk.balanced()
    assert desk.upstream.ledger.last.output == 30
    assert spent > 0


async def test_a_stream_may_be_longer_than_any_one_buffer(desk: Desk) -> None:
    desk.upstream.script.append(Act(words=5_000))
    said = await desk.post("/v1/chat/completions", chat(stream=True))
    assert said.body.count(b"data: ") == 5_003
    await desk.balanced()
