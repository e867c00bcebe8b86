"""What people and programs are told of a run that money ended, and which runs somebody waits for."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from freehold.core.parts import Origin
from freehold.core.runs import RunEvent, WaitsFor
from freehold.core.tenants import Tenant
from freehold.ingress.accepting import Arrival
from freehold.runs.endings import Child, Ending, Park
from freehold.runs.segment import Segment
from freehold.web.arriving import arrived
from tests.stages import Stage, echo
from tests.webs import Web, made, served

ACME = "/api/v1/tenants/acme"
CHAT = "/v1/chat/completions"
TALK: dict[str, Any] = {"model": "acme/helper", "messages": [{"role": "user", "content": "hi"}]}
ERROR = {
    "code": "budget_exhausted",
    "message": "The budget of the tenant is used up: 0.00 of 10.00 USD are left.",
    "remedy": "Wait until 2026-02-01, or ask an admin of the tenant to raise it.",
}


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


async def ended(web: Web, tenant: Tenant, asking: "asyncio.Task[httpx.Response]", **error: str) -> httpx.Response:
    """Let money end the run that is asked for, and return the answer."""
    async with asyncio.timeout(10):
        while not web.engine.submitted:  # noqa: ASYNC110 - the application has no event for tests
            await asyncio.sleep(0.005)
    run = web.engine.submitted[0].partition(":")[0]
    web.move(tenant, run, RunEvent.START)
    web.move(tenant, run, RunEvent.FAIL, error=ERROR | error)
    web.state.tail.poke()
    return await asking


@pytest.mark.parametrize("code", ["budget_exhausted", "credit_exhausted", "price_unknown"])
async def test_a_program_that_talks_to_an_agent_as_a_model_gets_a_402_as_openai_shapes_it(
    web: Web, acme: Tenant, api: httpx.AsyncClient, code: str
) -> None:
    answer = await ended(web, acme, asyncio.create_task(api.post(CHAT, json=TALK)), code=code)
    assert answer.status_code == 402
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == (code, "insufficient_quota")
    assert ERROR["message"] in error["message"]
    assert ERROR["remedy"] in error["message"]


async def test_one_that_streams_gets_it_in_the_stream(web: Web, acme: Tenant, api: httpx.AsyncClient) -> None:
    answer = await ended(web, acme, asyncio.create_task(api.post(CHAT, json=TALK | {"stream": True})))
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    error = json.loads(lines[-2])["error"]
    assert (error["code"], error["type"], lines[-1]) == ("budget_exhausted", "insufficient_quota", "[DONE]")
    assert ERROR["remedy"] in error["message"]


async def test_whoever_sent_a_message_reads_why_and_what_to_do(web: Web, acme: Tenant, api: httpx.AsyncClient) -> None:
    sending = api.post(f"{ACME}/agents/helper/messages", json={"text": "hi"}, headers={"Prefer": "wait=20"})
    answer = await ended(web, acme, asyncio.create_task(sending))
    assert answer.status_code == 200
    assert (answer.json()["message"]["state"], answer.json()["error"]) == ("failed", ERROR)


async def attended(api: httpx.AsyncClient, path: str, body: dict[str, Any], prefer: str = "") -> bool:
    answer = (await api.post(path, json=body, headers={"Prefer": prefer} if prefer else {})).json()
    run = answer.get("run", answer)["id"]
    return bool((await api.get(f"{ACME}/runs/{run}")).json()["attended"])


async def test_somebody_waits_for_a_message_and_for_a_run_that_they_wait_for(api: httpx.AsyncClient) -> None:
    run = {"agent": "helper", "input": "hi"}
    assert await attended(api, f"{ACME}/agents/helper/messages", {"text": "hi"})
    assert await attended(api, f"{ACME}/runs", run, "wait=1")
    assert await attended(api, f"{ACME}/runs", run | {"attended": True})
    assert await attended(api, f"{ACME}/runs", run) is False


async def test_somebody_waits_for_an_agent_that_is_a_model(web: Web, acme: Tenant, api: httpx.AsyncClient) -> None:
    await ended(web, acme, asyncio.create_task(api.post(CHAT, json=TALK)))
    (run,) = (await api.get(f"{ACME}/runs")).json()["items"]
    assert run["attended"] is True


async def test_nobody_waits_for_what_a_channel_brings(web: Web, acme: Tenant) -> None:
    brought = Arrival(agent="helper", text="hi", by="channel:chn_1", origin=Origin.CHANNEL, place="hook")
    accepted = await arrived(web.state, web.state.store.tenant(acme.id), brought)
    assert accepted.run.attended is False


@pytest.mark.parametrize("waits", [True, False])
async def test_a_child_is_attended_just_as_its_parent_is(stage: Stage, *, waits: bool) -> None:
    async def script(segment: Segment) -> Ending:
        assert segment.work().attended is waits
        if segment.run.depth or segment.run.segment > 1:
            return await echo(segment)
        return Park(waits_for=WaitsFor.CHILD, children=(Child(call="call_1", text="count"),))

    stage.script = script
    stage.start("hello", attended=waits)
    await stage.settle()
    assert [run.attended for run in stage.runs() if run.depth] == [waits]
