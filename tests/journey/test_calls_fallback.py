"""The next route: taken for whatever goes wrong before the caller has seen a byte, and never after."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.platform import free_port
from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.server import Upstream, serving
from tests.calling import CHAT, Desk, Said, calling
from tests.gateways import TENANT

PATIENCE = 1
"""Seconds that the gateway waits for an answer to begin."""
WRONG = {
    "busy": Act(status=429, after="7"),
    "broken": Act(status=500),
    "overloaded": Act(status=529),
    "bad-key": Act(status=401),
    "unpaid": Act(status=402),
    "closes": Act(close=True),
    "silent": Act(stall=True),
    "slowloris": Act(slowloris=0.05),
    "nonsense": Act(malformed=0),
    "error-at-once": Act(error=0),
    "cut-at-once": Act(cut=0),
    "empty": Act(body=b""),
    "no-json": Act(body=b"<html>"),
}
WHOLE = {"nonsense": Act(body=b'{"choices": ['), "error-at-once": Act(body=b'{"error": {"message": "no"}}')}
"""The same for an answer in one piece."""
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}),
    "messages": ("/v1/messages", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}),
    "responses": ("/v1/responses", {"input": "Hello"}),
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with calling(tmp_path, model_timeout=PATIENCE) as made:
        yield made


@pytest.fixture
async def second(desk: Desk) -> AsyncIterator[Upstream]:
    """A second provider, behind the first in the chain of the level `executor`."""
    async with serving() as upstream:
        config = {"base_url": upstream.base_url, "price": {"*": upstream.ledger.price.config}}
        await desk.web.create_connection(TENANT, kind="openai", name="next", config=config, secret="up", by="tester")
        await desk.web.set_level(TENANT, "executor", [CHAT, "next/scripted"], by="tester")
        desk.key = await desk.make_key("levels", ["executor", CHAT])
        yield upstream


async def ask(desk: Desk, api: str = "chat", **more: Any) -> Said:
    path, body = CALLS[api]
    return await desk.post(path, {"model": "executor", **body, **more})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("wrong", WRONG)
async def test_what_goes_wrong_before_the_first_byte_goes_on_to_the_next(
    desk: Desk,
    second: Upstream,
    wrong: str,
    stream: bool,  # noqa: FBT001
) -> None:
    desk.upstream.script.append(WRONG[wrong])
    if not stream and wrong in WHOLE:
        desk.upstream.script[0] = WHOLE[wrong]
    said = await ask(desk, stream=stream)
    assert said.status == 200, said.body
    assert said.headers["x-freehold-route"] == "next/scripted"
    assert b"scripted" in said.body
    rows = (await desk.settled())["rows"]
    assert sorted((row["provider"], row["attempt"]) for row in rows) == [("acct", 1), ("next", 2)]
    assert len({row["call"] for row in rows}) == 1


@pytest.mark.parametrize("api", CALLS)
async def test_every_api_falls_back(desk: Desk, second: Upstream, api: str) -> None:
    for stream in (False, True):
        desk.upstream.script.append(Act(status=500))
        said = await ask(desk, api, stream=stream)
        assert said.status == 200, said.body
        assert said.headers["x-freehold-route"] == "next/scripted" or desk.upstream.script


async def test_nothing_is_asked_again_once_the_caller_saw_a_byte(desk: Desk, second: Upstream) -> None:
    for wrong in (Act(cut=9), Act(malformed=9), Act(error=9)):
        seen = asyncio.Event()
        desk.upstream.script.append(replace(wrong, words=20, gate=partial(_pass, seen)))
        path, body = CALLS["chat"]
        async with desk.asking(path, {"model": "executor", **body, "stream": True}) as answer:
            assert answer.status == 200
            await answer.content.readuntil(b"\n\n")
            seen.set()
            assert b'"error"' in await answer.read()
        assert not second.ledger.entries


async def _pass(seen: asyncio.Event, number: int) -> None:
    if number >= 5:
        await seen.wait()


async def test_who_cannot_be_reached_is_passed_over(desk: Desk, second: Upstream) -> None:
    config = {"base_url": f"http://127.0.0.1:{free_port()}/v1"}
    await desk.web.change_connection(TENANT, "acct", config=config, by="tester")
    assert (await ask(desk)).headers["x-freehold-route"] == "next/scripted"
    rows = (await desk.settled())["rows"]
    assert [row["cost_nano"] for row in rows if row["provider"] == "acct"] == [0]


async def test_who_speaks_no_tls_is_passed_over(desk: Desk, second: Upstream) -> None:
    config = {"base_url": desk.upstream.base_url.replace("http://", "https://")}
    await desk.web.change_connection(TENANT, "acct", config=config, by="tester")
    assert (await ask(desk)).headers["x-freehold-route"] == "next/scripted"


async def test_a_route_that_failed_is_left_alone_for_as_long_as_it_said(desk: Desk, second: Upstream) -> None:
    desk.upstream.script.append(Act(status=429, after="30"))
    await ask(desk)
    assert (await ask(desk)).headers["x-freehold-route"] == "next/scripted"
    assert len(desk.upstream.ledger.entries) == 1


async def test_what_the_caller_did_wrong_is_nobody_elses_business(desk: Desk, second: Upstream) -> None:
    for status in (400, 404, 413, 422):
        desk.upstream.script.append(Act(status=status))
        assert (await ask(desk)).status == status
    assert not second.ledger.entries


async def test_a_connection_by_its_name_has_no_next(desk: Desk, second: Upstream) -> None:
    desk.upstream.script.append(Act(status=500))
    said = await desk.chat()
    assert said.status == 503
    assert not second.ledger.entries


async def test_when_all_fail_the_last_failure_is_told(desk: Desk, second: Upstream) -> None:
    desk.upstream.script.append(Act(status=500))
    second.script.append(Act(status=429, after="3"))
    said = await ask(desk)
    assert (said.status, said.headers["retry-after"]) == (429, "3")
    assert [row["charge_nano"] for row in (await desk.settled())["rows"]] == [0, 0]


async def test_a_provider_changed_is_asked_from_the_next_call_on(desk: Desk, second: Upstream) -> None:
    await asyncio.gather(*(ask(desk) for _ in range(4)))
    await desk.web.set_level(TENANT, "executor", ["next/scripted"], by="tester")
    assert (await ask(desk)).headers["x-freehold-route"] == "next/scripted"
    assert len(desk.upstream.ledger.entries) == 4
