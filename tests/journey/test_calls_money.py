"""Money, to the last nano-USD: what was charged is what the provider's own ledger says, and never more than the limit."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.clock import FakeClock
from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.ledger import Price
from tests.calling import CHAT, CLAUDE, GEMINI, Desk, Said, calling, chat
from tests.gateways import TENANT

CLIENTS = 64
TOLD = {
    "plain": "words=9",
    "thoughts": "words=9 reasoning=30 tokens_in=50",
    "cache": "words=9 tokens_in=80 cached=64",
    "length": "words=900",
    "nothing": "words=0",
    "told-twice": "words=9 usage=twice",
    "not-done": "words=9 done=no",
    "many-events": "words=400",
}
"""Answers after which the provider said what it takes."""
UNTOLD = ("missing", "string", "zero")
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": CHAT}),
    "responses": ("/v1/responses", {"model": CHAT}),
    "messages": ("/v1/messages", {"model": CLAUDE}),
    "chat-by-anthropic": ("/v1/chat/completions", {"model": CLAUDE}),
    "chat-by-gemini": ("/v1/chat/completions", {"model": GEMINI}),
    "messages-by-openai": ("/v1/messages", {"model": CHAT}),
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with calling(tmp_path) as made:
        yield made


async def ask(desk: Desk, way: str, text: str, *, stream: bool) -> Said:
    path, body = WAYS[way]
    most = "max_output_tokens" if path == "/v1/responses" else "max_tokens"
    said = {"input": text} if path == "/v1/responses" else {"messages": [{"role": "user", "content": text}]}
    return await desk.post(path, body | said | {most: 500, "stream": stream})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("way", WAYS)
async def test_what_a_provider_tells_is_what_is_charged(desk: Desk, way: str, stream: bool) -> None:  # noqa: FBT001
    await desk.limit(1_000_000_000)
    for number, spelt in enumerate(TOLD.values(), start=1):
        said = await ask(desk, way, f"[[{spelt}]]", stream=stream)
        assert said.status == 200, (spelt, said.body)
        assert await desk.balanced() == desk.upstream.ledger.nano > 0, spelt
        assert len(desk.upstream.ledger.entries) == number


async def test_what_is_no_text_is_charged_exactly_too(desk: Desk) -> None:
    await desk.limit(1_000_000_000)
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nacct/scripted\r\n'
    form += b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + bytes(40_000)
    form += b"\r\n--b--\r\n"
    calls: list[tuple[str, Any, str]] = [
        ("/v1/embeddings", {"model": CHAT, "input": ["one", "two"]}, "application/json"),
        ("/v1/images/generations", {"model": CHAT, "prompt": "A house", "n": 2}, "application/json"),
        ("/v1/audio/speech", {"model": CHAT, "voice": "alloy", "input": "Hello there"}, "application/json"),
        ("/v1/audio/transcriptions", form, "multipart/form-data; boundary=b"),
    ]
    for path, body, kind in calls:
        said = await desk.post(path, body, Content_Type=kind)
        assert said.status == 200, (path, said.body)
        await desk.balanced()
    entry = desk.upstream.ledger.sums
    assert (entry["images"], entry["characters"], entry["seconds"]) == (2, 11, 3)


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_without_usage_is_never_charged_less_than_it_took(desk: Desk, way: str) -> None:
    for usage in UNTOLD:
        before = desk.upstream.ledger.nano
        for stream in (False, True):
            await ask(desk, way, f"[[words=20 usage={usage}]]", stream=stream)
        await desk.upstream.idle()
        rows = (await desk.settled())["rows"][:2]
        if usage != "zero":
            assert sum(row["cost_nano"] for row in rows) >= desk.upstream.ledger.nano - before, (usage, rows)
            assert {row["estimated"] for row in rows} == {True}


async def test_an_absurd_usage_takes_no_more_than_there_is(desk: Desk) -> None:
    await desk.limit(50_000_000)
    await desk.chat("[[words=3 usage=huge]]", max_tokens=10)
    told = await desk.settled()
    assert told["spent_nano"] <= 50_000_000
    assert told["rows"][0]["charge_nano"] == told["spent_nano"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_many_at_once_never_pass_the_limit_and_use_nearly_all_of_it(desk: Desk, stream: bool) -> None:  # noqa: FBT001
    limit = 4_000_000
    await desk.limit(limit)
    barrier = asyncio.Barrier(CLIENTS)
    most = 0

    async def one() -> int:
        await barrier.wait()
        statuses = [200]
        while statuses[-1] == 200:
            said = await desk.chat("[[words=40 tokens_in=20]]", stream=stream, max_tokens=50)
            statuses.append(said.status)
            assert said.status in (200, 402), said.body
        return statuses.count(200) - 1

    async def watch() -> None:
        nonlocal most
        while True:
            told = await desk.web.usage(TENANT)
            most = max(most, told["spent_nano"] + told["held_nano"])
            assert told["spent_nano"] + told["held_nano"] <= limit

    watching = asyncio.create_task(watch())
    answered = sum(await asyncio.gather(*(one() for _ in range(CLIENTS))))
    watching.cancel()
    spent = await desk.balanced()
    assert answered > 0
    assert limit * 0.9 <= spent <= limit
    assert most <= limit


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_who_leaves_before_the_first_byte_is_charged_to_the_end(desk: Desk, stream: bool) -> None:  # noqa: FBT001
    gate = asyncio.Event()
    desk.upstream.script.append(Act(words=30, gate=lambda _number: gate.wait()))
    asked = asyncio.create_task(desk.chat(stream=stream))
    await desk.upstream.asked(1)
    asked.cancel()
    await asyncio.wait([asked])
    gate.set()
    assert await desk.balanced() > 0
    assert desk.upstream.ledger.last.output == 30


async def test_near_the_limit_an_answer_becomes_shorter(desk: Desk) -> None:
    await desk.limit(1_000_000)
    said = await desk.chat("[[words=5000]]", max_tokens=5_000)
    assert said.status == 200
    assert said.json["choices"][0]["finish_reason"] == "length"
    assert 0 < int(said.headers["x-freehold-max-tokens"]) < 500
    assert await desk.balanced() <= 1_000_000


async def test_a_provider_that_ignores_the_limit_is_cut_and_costs_the_tenant_no_more(desk: Desk) -> None:
    await desk.limit(1_000_000)
    said = await desk.chat("[[words=5000 ignore_max slow=0.0001]]", max_tokens=5_000, stream=True)
    assert b"budget_exhausted" in said.events[-1]
    told = await desk.settled()
    assert told["spent_nano"] <= 1_000_000
    assert desk.upstream.ledger.last.output < 5_000


@pytest.mark.parametrize("events", [0, 1, 5, 12])
async def test_a_stream_that_breaks_off_is_charged_what_came(desk: Desk, events: int) -> None:
    said = await desk.post("/v1/messages", {
        "model": CLAUDE, "max_tokens": 100, "stream": True,
        "messages": [{"role": "user", "content": f"[[words=20 cut={events}]]"}],
    })  # fmt: skip
    await desk.upstream.idle()
    (row,) = (await desk.settled())["rows"]
    assert row["estimated"]
    assert row["cost_nano"] >= desk.upstream.ledger.nano
    if events >= 5:
        assert said.status == 200
        assert row["cost_nano"] == desk.upstream.ledger.nano


async def test_a_call_counts_to_the_day_it_began_in(tmp_path: Path) -> None:
    clock = FakeClock()
    async with calling(tmp_path, clock=clock) as desk:
        await desk.limit(600_000, period="day")
        gate, began = asyncio.Event(), asyncio.Event()

        async def hold(number: int) -> None:
            began.set()
            await gate.wait()

        desk.upstream.script.append(Act(words=200, gate=hold))
        asked = asyncio.create_task(desk.chat(stream=True, max_tokens=200))
        await asyncio.wait_for(began.wait(), 10)
        clock.wind(86_400)
        assert (await desk.chat("[[words=200]]", max_tokens=200)).status == 200
        gate.set()
        assert (await asked).status == 200
        await desk.upstream.idle()


async def test_the_mark_up_is_charged_on_the_platforms_connections_only(tmp_path: Path) -> None:
    async with calling(tmp_path, upstream={"price": Price(input=0, output=1_000_000_000)}) as desk:
        await desk.web.set_account(TENANT, markup_ppm=250_000, by="tester")
        config = {"base_url": desk.upstream.base_url, "price": {"*": desk.upstream.ledger.price.config}}
        await desk.web.create_connection(None, kind="openai", name="house", config=config, secret=None, by="tester")
        desk.key = await desk.make_key("both", [CHAT, "house/scripted"])
        await desk.post("/v1/chat/completions", chat("[[words=8]]", "house/scripted"))
        await desk.chat("[[words=8]]")
        own, house = (await desk.settled())["rows"]
        assert (own["cost_nano"], own["charge_nano"]) == (8_000, 8_000)
        assert (house["cost_nano"], house["charge_nano"]) == (8_000, 10_000)


async def test_what_nobody_knows_the_price_of_is_refused_where_there_is_a_limit(desk: Desk) -> None:
    await desk.web.change_connection(TENANT, "acct", config={"price": None}, by="tester")
    assert (await desk.chat()).status == 200
    await desk.limit(1_000_000_000)
    said = await desk.chat()
    assert (said.status, said.json["error"]["code"]) == (402, "price_unknown")
