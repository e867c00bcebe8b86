"""Requests and answers that are twisted to be counted wrongly: money stays exact, and what is held comes back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.upstream.acts import Act
from tests.calling import CHAT, CLAUDE, Desk, calling, chat
from tests.gateways import TENANT

LIMIT = 100_000_000


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with calling(tmp_path) as made:
        await made.limit(LIMIT)
        yield made


async def held_during(desk: Desk, path: str, body: dict[str, Any]) -> int:
    """Return what is held while the provider thinks about an answer."""
    began, gate = asyncio.Event(), asyncio.Event()

    async def wait(_number: int) -> None:
        began.set()
        await gate.wait()

    desk.upstream.script.append(Act(words=3, gate=wait))
    asked = asyncio.create_task(desk.post(path, body | {"stream": True}))
    await asyncio.wait([asyncio.create_task(began.wait()), asked], timeout=10, return_when=asyncio.FIRST_COMPLETED)
    held: int = (await desk.web.usage(TENANT))["held_nano"]
    gate.set()
    await asked
    return held


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("most", [-1, -1_000_000, 0])
async def test_a_limit_below_nothing_makes_no_room(desk: Desk, name: str, most: int) -> None:
    assert await held_during(desk, "/v1/chat/completions", chat() | {name: most}) > 0
    told = await desk.settled()
    assert (told["held_nano"], told["spent_nano"] > 0) == (0, True)


@pytest.mark.parametrize(
    ("path", "model", "means", "foreign"),
    [
        ("/v1/chat/completions", CHAT, "max_tokens", "max_output_tokens"),
        ("/v1/chat/completions", CHAT, "max_tokens", "max_completion_tokens"),
        ("/v1/chat/completions", CHAT, "max_completion_tokens", "max_tokens"),
        ("/v1/messages", CLAUDE, "max_tokens", "max_completion_tokens"),
        ("/v1/responses", CHAT, "max_output_tokens", "max_completion_tokens"),
    ],
)
async def test_a_second_smaller_limit_holds_nothing_less(
    desk: Desk, path: str, model: str, means: str, foreign: str
) -> None:
    body = chat(model=model) if path != "/v1/responses" else {"model": model, "input": "Hello"}
    plain = await held_during(desk, path, body | {means: 5_000})
    assert await held_during(desk, path, body | {means: 5_000, foreign: 1}) >= plain > 0


@pytest.mark.parametrize("member", ["max_tokens", "n"])
async def test_numbers_that_nobody_can_store_are_refused(tmp_path: Path, member: str) -> None:
    async with calling(tmp_path) as desk:
        said = await desk.post("/v1/chat/completions", chat() | {member: 10**18})
        assert 400 <= said.status < 500, said.body
        told = await desk.web.usage(TENANT)
        assert told["rows"] == []


async def test_what_is_spelt_in_escapes_is_seen_all_the_same(desk: Desk) -> None:
    body = b'{"model":"acct/scripted","max_tokens":9,"messages":[],"tools":[{"t\\u0079pe":"web\\u005fsearch_preview"}]}'
    said = await desk.post("/v1/chat/completions", body)
    assert (said.status, said.json["error"]["code"]) == (402, "price_unknown")


async def test_a_strange_head_of_an_answer_leaves_nothing_held(desk: Desk) -> None:
    desk.upstream.script.append(
        Act(body=b'{"choices":[{"message":{"content":"hi"}}]}', kind="application/json; \u2603")
    )
    await desk.chat(max_tokens=9)
    told = await desk.settled()
    assert told["held_nano"] == 0
    assert told["rows"][0]["state"] != "open"


async def test_a_call_that_costs_nothing_goes_on_when_all_is_spent(desk: Desk) -> None:
    assert (await desk.chat("[[words=50]]", max_tokens=60)).status == 200
    await desk.settled()
    await desk.limit(1)
    price = {"*": {"input": 0, "output": 0}}
    await desk.web.change_connection(TENANT, "acct", config={"price": price}, by="tester")
    assert (await desk.chat(max_tokens=9)).status == 200


async def test_a_cut_stream_that_told_no_input_is_charged_no_less_than_it_took(desk: Desk) -> None:
    text = "漢字" * 400
    said = await desk.chat(f"{text}[[words=20 cut=4 tokens_in=900]]", max_tokens=100, stream=True)
    assert said.status == 200
    await desk.upstream.idle()
    (row,) = (await desk.settled())["rows"]
    assert row["estimated"]
    assert row["cost_nano"] >= desk.upstream.ledger.nano


@pytest.mark.parametrize("model", [CHAT, CLAUDE])
async def test_a_plain_answer_that_broke_off_is_charged_no_less_than_it_took(desk: Desk, model: str) -> None:
    said = await desk.post("/v1/chat/completions", chat("[[words=300 cut=40]]", model, max_tokens=400))
    assert said.status >= 500
    await desk.upstream.idle()
    (row,) = (await desk.settled())["rows"]
    assert (row["estimated"], row["state"]) == (True, "unsettled")
    assert desk.upstream.ledger.nano <= row["cost_nano"] == row["hold_nano"]
