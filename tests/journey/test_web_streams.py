"""What is told while it happens: events, pieces of text, and answers somebody waits for."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from freehold.core.runs import RunEvent
from freehold.core.tenants import Tenant
from tests.webs import Web, made, served

MESSAGES = "/api/v1/tenants/acme/agents/helper/messages"
CHAT = "/v1/chat/completions"
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    tenant = web.tenant("acme")
    web.agent(tenant)
    return tenant


@pytest.fixture
async def api(web: Web, acme: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    async with served(web) as asking:
        yield asking


async def sent(api: httpx.AsyncClient, **extra: Any) -> str:
    return str((await api.post(MESSAGES, json={"text": "hi"} | extra)).json()["run"]["id"])


async def heard(lines: AsyncIterator[str]) -> dict[str, str]:
    """Return the next event of a stream."""
    event: dict[str, str] = {}
    async for line in lines:
        if not line and event:
            return event
        name, _, value = line.partition(": ")
        if name:
            event[name] = value
    return event


def live(web: Web, run: str, kind: str, text: str = "", key: str = "k1") -> None:
    web.state.tail.live({"live": kind, "tenant": "ten_x", "run": run, "key": key, "text": text})


async def until(done: Any) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - the application has no event for tests
            await asyncio.sleep(0.005)


async def listened(web: Web, run: str) -> None:
    await until(lambda: run in web.state.tail._watches)


async def test_events_come_in_order_and_the_stream_ends_with_the_run(
    web: Web, acme: Tenant, api: httpx.AsyncClient
) -> None:
    run = await sent(api)
    async with api.stream("GET", f"/api/v1/tenants/acme/runs/{run}/events", headers=STREAM) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        assert (await heard(lines))["event"] == "run.queued"
        web.move(acme, run, RunEvent.START)
        web.state.tail.poke()
        started = await heard(lines)
        assert (started["id"], started["event"]) == ("2", "run.started")
        live(web, run, "delta", "hel")
        piece = await heard(lines)
        assert (piece["event"], "id" in piece, json.loads(piece["data"])["text"]) == ("delta", False, "hel")
        web.move(acme, run, RunEvent.FINISH, output="hello")
        web.state.tail.poke()
        last = await heard(lines)
        assert json.loads(last["data"])["data"] == {"output": "hello"}
        assert [line async for line in lines] == []


async def test_a_nudge_that_is_lost_costs_a_second_at_most(web: Web, acme: Tenant, api: httpx.AsyncClient) -> None:
    run = await sent(api)
    asking = asyncio.create_task(api.get(f"/api/v1/tenants/acme/runs/{run}", headers={"Prefer": "wait=20"}))
    await listened(web, run)
    web.answer(acme, run, "hello")
    assert (await asking).json()["output"] == "hello"


async def test_a_stream_resumes_behind_the_last_event_that_was_seen(
    web: Web, acme: Tenant, api: httpx.AsyncClient
) -> None:
    run = await sent(api)
    web.answer(acme, run, "hello")
    place = f"/api/v1/tenants/acme/runs/{run}/events"
    whole = await api.get(place, headers=STREAM)
    rest = await api.get(place, headers=STREAM | {"Last-Event-ID": "2"})
    assert [line for line in whole.text.splitlines() if line.startswith("id")] == ["id: 1", "id: 2", "id: 3"]
    assert [line for line in rest.text.splitlines() if line.startswith("id")] == ["id: 3"]
    assert (await api.get(place, headers=STREAM | {"Last-Event-ID": "3"})).text == ""
    assert (await api.get(place, headers=STREAM | {"Last-Event-ID": "junk"})).text == whole.text


async def test_who_comes_late_hears_what_is_being_said_from_its_first_word(
    web: Web, acme: Tenant, api: httpx.AsyncClient
) -> None:
    run = await sent(api)
    web.move(acme, run, RunEvent.START)
    live(web, run, "delta", "hel")
    live(web, run, "delta", "lo")
    async with api.stream("GET", f"/api/v1/tenants/acme/runs/{run}/events", headers=STREAM) as stream:
        lines = stream.aiter_lines()
        kinds = [await heard(lines) for _ in range(4)]
    assert [event["event"] for event in kinds] == ["run.queued", "run.started", "reset", "delta"]
    assert json.loads(kinds[3]["data"])["text"] == "hello"


async def test_a_message_can_be_waited_for(web: Web, acme: Tenant, api: httpx.AsyncClient) -> None:
    asking = asyncio.create_task(api.post(MESSAGES, json={"text": "hi"}, headers={"Prefer": "respond-async, wait=20"}))
    await until(lambda: web.engine.submitted)
    run = web.engine.submitted[0].partition(":")[0]
    web.answer(acme, run, "hello")
    web.state.tail.poke()
    answer = await asking
    assert (answer.status_code, answer.json()["reply"]) == (200, {"text": "hello"})
    assert answer.headers["preference-applied"] == "wait=20"


async def test_waiting_ends_when_a_person_is_asked(web: Web, acme: Tenant, api: httpx.AsyncClient) -> None:
    asking = asyncio.create_task(api.post(MESSAGES, json={"text": "hi"}, headers={"Prefer": "wait=20"}))
    await until(lambda: web.engine.submitted)
    web.ask(acme, web.engine.submitted[0].partition(":")[0])
    web.state.tail.poke()
    answer = await asking
    assert (answer.status_code, answer.json()["message"]["state"]) == (202, "waiting")
    assert answer.json()["run"]["waits_for"] == "person"


async def test_who_does_not_want_to_wait_longer_is_told_how_it_stands(api: httpx.AsyncClient) -> None:
    answer = await api.post(MESSAGES, json={"text": "hi"}, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["message"]["state"]) == (202, "queued")


async def test_nobody_is_kept_when_web_stops(web: Web, api: httpx.AsyncClient) -> None:
    run = await sent(api)
    asking = asyncio.create_task(api.get(f"/api/v1/tenants/acme/runs/{run}/events", headers=STREAM))
    await listened(web, run)
    web.state.tail.close()
    assert "run.queued" in (await asking).text


async def test_an_agent_answers_as_a_model(web: Web, acme: Tenant, api: httpx.AsyncClient) -> None:
    body = {"model": "acme/helper", "messages": [{"role": "user", "content": "hi"}]}
    asking = asyncio.create_task(api.post(CHAT, json=body))
    await until(lambda: web.engine.submitted)
    web.answer(acme, web.engine.submitted[0].partition(":")[0], "hello")
    web.state.tail.poke()
    told = (await asking).json()
    assert told["choices"][0]["message"] == {"role": "assistant", "content": "hello"}
    assert told["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert told["freehold"]["conversation"].startswith("cnv_")


@pytest.mark.parametrize("repeated", [False, True])
async def test_an_agent_streams_as_a_model_and_says_nothing_twice(
    web: Web, acme: Tenant, api: httpx.AsyncClient, *, repeated: bool
) -> None:
    body = {"model": "acme/helper", "stream": True, "stream_options": {"include_usage": True}}
    chunks: list[dict[str, Any]] = []
    async with api.stream("POST", CHAT, json=body | {"messages": [{"role": "user", "content": "hi"}]}) as stream:
        lines = stream.aiter_lines()
        run = web.engine.submitted[0].partition(":")[0]
        await listened(web, run)
        live(web, run, "delta", "hel")
        if repeated:  # the worker died: its successor says the step again
            live(web, run, "reset")
            live(web, run, "delta", "hel")
        live(web, run, "delta", "lo")
        web.answer(acme, run, "hello, world")
        web.state.tail.poke()
        async for line in lines:
            if line.startswith("data: {"):
                chunks.append(json.loads(line.removeprefix("data: ")))
            elif line:
                assert line == "data: [DONE]"
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    assert text == "hello, world"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["total_tokens"] == 5


async def test_an_agent_that_must_ask_says_so_as_a_model(web: Web, acme: Tenant, api: httpx.AsyncClient) -> None:
    body = {"model": "acme/helper", "messages": [{"role": "user", "content": "hi"}]}
    asking = asyncio.create_task(api.post(CHAT, json=body))
    await until(lambda: web.engine.submitted)
    web.ask(acme, web.engine.submitted[0].partition(":")[0])
    web.state.tail.poke()
    choice = (await asking).json()["choices"][0]
    assert "approval" in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"


async def test_a_failure_has_openais_shape(web: Web, acme: Tenant, api: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"model": "acme/helper", "messages": [{"role": "user", "content": "hi"}]}
    asking = asyncio.create_task(api.post(CHAT, json=body))
    await until(lambda: web.engine.submitted)
    run = web.engine.submitted[0].partition(":")[0]
    web.move(acme, run, RunEvent.START)
    web.move(acme, run, RunEvent.FAIL, error={"code": "provider_refused", "message": "No.", "remedy": "Ask."})
    web.state.tail.poke()
    failed = await asking
    assert (failed.status_code, failed.json()["error"]["code"]) == (422, "provider_refused")
    missing = await api.post(CHAT, json=body | {"model": "acme/none"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
    nobody = await api.post(CHAT, json=body, headers={"Authorization": "Bearer no"})
    assert (nobody.status_code, nobody.json()["error"]["type"]) == (401, "authentication_error")
