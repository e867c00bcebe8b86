"""How the queue stands, for whoever runs the platform."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from freehold.cli.main import build
from freehold.core.people import Role
from freehold.core.runs import RunEvent, WaitsFor
from freehold.core.tenants import Tenant
from tests import crowd
from tests.webs import OPERATOR, Web, bearer, made, served

QUEUE = "/api/v1/platform/queue"


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture
def web(tmp_path: Path, listener: socket.socket) -> Web:
    return made(tmp_path, hosts=f"http://127.0.0.1:{listener.getsockname()[1]}")


@pytest.fixture
async def api(web: Web, listener: socket.socket) -> AsyncIterator[httpx.AsyncClient]:
    async with served(web, listener=listener) as client:
        yield client


async def freehold(api: httpx.AsyncClient, *words: str) -> Result:
    where = {"FREEHOLD_URL": str(api.base_url), "FREEHOLD_KEY": OPERATOR, "COLUMNS": "200"}
    return await asyncio.to_thread(CliRunner().invoke, build(words[0]), list(words), env=where)


def tenant(web: Web, slug: str) -> Tenant:
    found = web.tenant(slug)
    web.agent(found)
    return found


async def start(api: httpx.AsyncClient, slug: str, key: str = "") -> str:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"agent": "helper", "input": "hi"}
    return str((await api.post(f"/api/v1/tenants/{slug}/runs", json=body, headers=headers)).json()["id"])


async def test_it_tells_who_queues_since_when(web: Web, api: httpx.AsyncClient) -> None:
    busy, calm = tenant(web, "busy"), tenant(web, "calm")
    tenant(web, "idle")
    runs = [await start(api, "busy") for _ in range(3)]
    web.clock.wind(20)
    parked = await start(api, "calm")
    web.move(busy, runs[0], RunEvent.START)
    web.move(calm, parked, RunEvent.START)
    web.move(calm, parked, RunEvent.PARK, waits_for=WaitsFor.PERSON)
    web.clock.wind(10)
    told = (await api.get(QUEUE)).json()
    assert [told[name] for name in ("queued", "running", "waiting", "paused")] == [2, 1, 1, 0]
    assert told["oldest_seconds"] == 30
    assert [(one["slug"], one["queued"], one["oldest_seconds"]) for one in told["tenants"]] == [
        ("busy", 2, 30),
        ("calm", 0, 0),
    ]


async def test_a_run_that_goes_on_queues_anew(web: Web, api: httpx.AsyncClient) -> None:
    acme = tenant(web, "acme")
    run = await start(api, "acme")
    web.move(acme, run, RunEvent.START)
    web.move(acme, run, RunEvent.PARK, waits_for=WaitsFor.PERSON)
    web.clock.wind(3600)
    web.move(acme, run, RunEvent.RESUME)
    web.clock.wind(4)
    assert (await api.get(QUEUE)).json()["oldest_seconds"] == 4


async def test_a_worker_whose_lease_is_over_shows(web: Web, api: httpx.AsyncClient) -> None:
    with web.state.store.write() as platform:
        platform.workers.join("worker_old", at=web.clock.now() - timedelta(seconds=60))
        platform.workers.join("worker_new", at=web.clock.now())
    told = (await api.get(QUEUE)).json()
    assert [(one["id"], one["lease_age_seconds"], one["alive"]) for one in told["workers"]] == [
        ("worker_old", 60, False),
        ("worker_new", 0, True),
    ]
    assert "worker_old, last sign 60 s ago - gone" in (await freehold(api, "platform", "queue")).stdout


async def test_repeats_are_counted_and_shown(web: Web, api: httpx.AsyncClient) -> None:
    tenant(web, "acme")
    for _ in range(3):
        await start(api, "acme", key="once")
    shown = await freehold(api, "platform", "queue")
    assert "1 queued" in shown.stdout
    assert "2 of runs" in shown.stdout
    assert "no worker looks after them" in shown.stdout
    told = json.loads((await freehold(api, "platform", "queue", "--json")).stdout)
    assert told["duplicates"] == {"message": 0, "run": 2}


async def test_it_is_not_for_tenants(web: Web, api: httpx.AsyncClient) -> None:
    acme = tenant(web, "acme")
    owner = crowd.signed_in(web, crowd.member(web, acme, Role.OWNER))
    for headers in (owner, bearer(web.key(acme))):
        asked = httpx.Request("GET", f"{api.base_url}{QUEUE}", headers={"Host": "127.0.0.1:7070"} | headers)
        assert (await api.send(asked)).status_code == 403
