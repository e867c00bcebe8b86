"""The scripted provider: bills what it generated, and misbehaves as it is told to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from freehold.testing.upstream.acts import Act, of, spelt
from freehold.testing.upstream.ledger import Price, State
from freehold.testing.upstream.plans import example
from freehold.testing.upstream.server import Upstream, serving

CHAT = "/v1/chat/completions"


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with serving() as made:
        yield made


async def ask(upstream: Upstream, text: str, path: str = CHAT, **more: Any) -> bytes:
    body = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": text}], **more}
    async with aiohttp.ClientSession() as client, client.post(upstream.url + path, json=body) as answer:
        return await answer.read()


def test_an_act_is_spelt_in_the_newest_question_or_the_models_name() -> None:
    body = b'{"messages": ["[[words=1]]", "[[cut=3 usage=zero call=a,b]]"]}'
    assert spelt("m", body) == Act(cut=3, usage="zero", call=("a", "b"))
    assert spelt("m~slow=0.5~crlf", b"{}") == Act(slow=0.5, crlf=True)
    assert spelt("m", b'{"input": [[1, 2]]}') == Act()
    assert of({"words": 3, "done": False}) == Act(words=3, done=False)


def test_a_schema_gives_the_same_value_every_time() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"type": "array", "items": {"enum": ["x", "y"]}}},
        "$defs": {"A": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
    }
    assert example(schema) == {"a": 7, "b": ["x"]}


async def test_what_was_generated_until_a_cut_is_billed(upstream: Upstream) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(upstream, "[[words=50 cut=11 tokens_in=7]]", stream=True)
    entry = upstream.ledger.last
    assert (entry.state, entry.input, entry.output, entry.events) == (State.CUT, 7, 10, 11)
    assert entry.nano == 7 * 1_000 + 10 * 2_000 == upstream.ledger.nano


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses"])
async def test_every_format_bills_the_same(upstream: Upstream, path: str) -> None:
    await ask(upstream, "[[words=9 reasoning=3 tokens_in=20 cached=8]]", path, stream=True)
    await ask(upstream, "[[words=9 reasoning=3 tokens_in=20 cached=8]]", path)
    first, second = upstream.ledger.entries
    assert first.nano == second.nano == 12 * 1_000 + 8 * 100 + 12 * 2_000


@pytest.mark.parametrize("wrong", ["status=500", "close", "redirect=/x"])
async def test_what_was_refused_is_not_billed(upstream: Upstream, wrong: str) -> None:
    with contextlib.suppress(aiohttp.ClientError):
        await ask(upstream, f"[[{wrong}]]")
    assert upstream.ledger.nano == 0
    assert upstream.ledger.idle


async def test_who_leaves_is_billed_until_then(upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script.append(Act(words=50, gate=lambda number: gate.wait() if number > 3 else asyncio.sleep(0)))
    async with aiohttp.ClientSession() as client:
        body = {"model": "m", "stream": True, "messages": []}
        async with client.post(upstream.base_url + "/chat/completions", json=body) as answer:
            await answer.content.readuntil(b"\n\n")
            answer.close()
        await upstream.idle()
    assert upstream.ledger.last.state is State.LEFT
    assert upstream.ledger.last.output == 3


async def test_an_unknown_key_is_refused() -> None:
    async with serving(keys=["sk-1"], price=Price(input=0)) as upstream:
        assert b"401" in await ask(upstream, "Hello")
        assert upstream.ledger.last.status == 401


async def test_another_process_reads_the_ledger_and_writes_the_script(upstream: Upstream) -> None:
    async with aiohttp.ClientSession() as client:
        await client.post(upstream.url + "/script", json=[{"words": 4, "gated": True}])
        asked = asyncio.create_task(ask(upstream, "Hello", stream=True))
        await client.post(upstream.url + "/gate?events=9")
        assert b"w3" in await asked
        async with client.get(upstream.url + "/ledger") as answer:
            told = await answer.json()
        assert told["entries"][0]["output"] == 4
        assert told["sums"]["done"] == 1
        await client.delete(upstream.url + "/ledger")
    assert upstream.ledger.nano == 0
