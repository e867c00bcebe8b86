"""What runs took and cost, by API and on the command line."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from freehold.cli.main import build
from freehold.core.errors import Unavailable
from freehold.core.runs import RunEvent, WaitsFor
from freehold.core.tenants import Tenant
from tests.webs import OPERATOR, Web, bearer, made, served

RUNS = "/api/v1/tenants/acme/runs"


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture
def web(tmp_path: Path, listener: socket.socket) -> Web:
    web = made(tmp_path, hosts=f"http://127.0.0.1:{listener.getsockname()[1]}")
    web.agent(web.tenant("acme"))
    return web


@pytest.fixture
async def api(web: Web, listener: socket.socket) -> AsyncIterator[httpx.AsyncClient]:
    async with served(web, listener=listener) as client:
        yield client


async def freehold(api: httpx.AsyncClient, *words: str) -> Result:
    where = {"FREEHOLD_URL": str(api.base_url), "FREEHOLD_KEY": OPERATOR, "COLUMNS": "200"}
    return await asyncio.to_thread(CliRunner().invoke, build(words[0]), [*words, "--tenant", "acme"], env=where)


def acme(web: Web) -> Tenant:
    with web.state.store.read() as platform:
        return platform.tenants.find("acme")


async def took(web: Web, api: httpx.AsyncClient, queued: float, worked: float) -> str:
    """Return a run that queued and worked for so many seconds."""
    run = str((await api.post(RUNS, json={"agent": "helper", "input": "hi"})).json()["id"])
    web.clock.wind(queued)
    web.move(acme(web), run, RunEvent.START)
    web.clock.wind(worked)
    web.move(acme(web), run, RunEvent.FINISH, output="done")
    return run


async def test_runs_are_summed_by_agent_and_by_day(web: Web, api: httpx.AsyncClient) -> None:
    runs = [await took(web, api, 1, worked) for worked in (1, 2, 30)]
    web.gateway.groups = [{"key": runs[0], "cost_nano": 5, "charge_nano": 7}, {"key": "run_other", "cost_nano": 900}]
    await api.post(RUNS, json={"agent": "helper", "input": "not over"})
    told = (await api.get(f"{RUNS}/metrics")).json()
    (group,) = told["groups"]
    assert (group["name"], group["runs"], group["states"]) == ("helper", 4, {"done": 3, "queued": 1})
    assert group["duration_ms"] == {"sum": 36_000, "p50": 3_000, "p95": 31_000}
    assert group["queued_ms"] == {"sum": 3_000, "p50": 1_000, "p95": 1_000}
    assert (group["cost_nano"], group["charge_nano"]) == (5, 7)
    days = (await api.get(f"{RUNS}/metrics", params={"by": "day"})).json()
    assert [day["key"] for day in days["groups"]] == [web.clock.now().date().isoformat()]
    assert told["total"]["runs"] == 4
    assert told["cut"] is False


async def test_single_runs_are_measured_and_a_foreign_one_is_not_there(web: Web, api: httpx.AsyncClient) -> None:
    run = await took(web, api, 2, 3)
    parked = str((await api.post(RUNS, json={"agent": "helper", "input": "hi"})).json()["id"])
    web.move(acme(web), parked, RunEvent.START)
    web.move(acme(web), parked, RunEvent.PARK, waits_for=WaitsFor.PERSON)
    web.clock.wind(60)
    items = (await api.get(f"{RUNS}/metrics", params={"runs": f"{run},{parked}"})).json()["items"]
    assert [(one["state"], one["duration_ms"], one["waiting_ms"]) for one in items] == [
        ("done", 5_000, 0),
        ("waiting", 60_000, 60_000),
    ]
    key = bearer(web.key(web.tenant("other")))
    foreign = await api.get("/api/v1/tenants/other/runs/metrics", params={"runs": run}, headers=key)
    assert foreign.status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {"since": "0001-01-01T00:00:00+14:00"},
        {"since": "9999-12-31T23:59:59-14:00"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"runs": ","},
    ],
)
async def test_odd_questions_have_plain_answers(web: Web, api: httpx.AsyncClient, query: dict[str, str]) -> None:
    await took(web, api, 1, 1)
    answer = await api.get(f"{RUNS}/metrics", params=query)
    assert answer.status_code == 200
    assert (answer.json()["total"] or {"runs": 0})["runs"] == 0 or "0001" in query.get("since", "")


async def test_too_many_runs_are_not_named_at_once(web: Web, api: httpx.AsyncClient) -> None:
    answer = await api.get(f"{RUNS}/metrics", params={"runs": ",".join(f"run_{n}" for n in range(101))})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")


async def test_a_key_for_one_agent_measures_its_runs_alone(web: Web, api: httpx.AsyncClient) -> None:
    await took(web, api, 1, 1)
    bound = web.agent(acme(web), "bound")
    key = bearer(web.key(acme(web), "runs:read", agent=bound.id))
    told = (await api.get(f"{RUNS}/metrics", headers=key)).json()
    assert (told["total"]["runs"], told["groups"]) == (0, [])


async def test_without_the_gateway_times_are_told_and_costs_are_not(
    web: Web, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise Unavailable("The gateway is away.", code="gateway_away")

    run = await took(web, api, 1, 1)
    monkeypatch.setattr(web.gateway, "usage", away)
    (item,) = (await api.get(f"{RUNS}/metrics", params={"runs": run})).json()["items"]
    assert (item["duration_ms"], item["cost_nano"]) == (2_000, None)
    shown = await freehold(api, "run", "show", run)
    assert shown.exit_code == 0, shown.output


async def test_the_command_line_shows_numbers_with_runs(web: Web, api: httpx.AsyncClient) -> None:
    run = await took(web, api, 2, 90)
    shown = (await freehold(api, "run", "show", run)).stdout
    assert "1.5 min" in shown
    assert "2.0 s" in shown
    listed = await freehold(api, "run", "list", "--metrics")
    assert "1.5 min" in listed.stdout
    told = json.loads((await freehold(api, "run", "list", "--metrics", "--json")).stdout)
    assert told[0]["metrics"]["queued_ms"] == 2_000
    summed = await freehold(api, "run", "metrics")
    assert "1.5 min / 1.5 min" in summed.stdout
    assert "helper" in summed.stdout
