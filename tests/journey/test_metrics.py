"""Metrics as Prometheus scrapes them: who may, what they say, and that they name no tenant by themselves."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from freehold.app.exposing import GATEWAY, exposed
from freehold.core.effects import EffectState
from freehold.core.errors import Invalid
from freehold.core.metrics import METRICS, Metrics
from freehold.core.people import Role
from freehold.core.runs import RunEvent, RunState
from freehold.runs.endings import Done, Fail
from freehold.settings import Settings
from freehold.testing.clock import FakeClock
from freehold.testing.platform import LocalPlatform
from freehold.web.building import build
from tests import crowd
from tests.gateways import effect, running, said, work
from tests.platforms import Desk
from tests.scripts import always, two_steps
from tests.stages import Stage
from tests.webs import ADDRESS, Web, bearer, client, made

RUNS = "/api/v1/tenants/acme/runs"
HERE, THERE = "127.0.0.1", "203.0.113.7"


def read(text: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    web = made(tmp_path)
    web.agent(web.tenant("acme"))
    return web


@pytest.fixture
def api(web: Web) -> Iterator[TestClient]:
    with client(web) as asking:
        yield asking


async def asked(web: Web, peer: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(build(web.state), client=(peer, 40_000))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{ADDRESS}") as asking:
        return await asking.get("/metrics", headers={name.replace("_", "-"): value for name, value in headers.items()})


class TestWhoMayRead:
    async def test_a_program_of_this_machine_needs_no_key(self, web: Web) -> None:
        answer = await asked(web, HERE)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"

    @pytest.mark.parametrize("added", ["x_forwarded_for", "forwarded", "via", "x_forwarded_host"])
    async def test_what_an_edge_of_this_machine_passes_on_is_not_from_here(self, web: Web, added: str) -> None:
        answer = await asked(web, HERE, **{added: THERE})
        assert (answer.status_code, answer.json()["code"]) == (401, "no_key")

    async def test_elsewhere_a_key_with_the_scope_is_needed(self, web: Web) -> None:
        assert (await asked(web, THERE)).status_code == 401
        good = bearer(web.key(None, "metrics:read"))
        assert (await asked(web, THERE, **good)).status_code == 200
        other = bearer(web.key(None, "usage:read"))
        assert (await asked(web, THERE, **other)).status_code == 403

    async def test_no_key_of_a_tenant_opens_them_and_no_member(self, web: Web) -> None:
        acme = web.tenant("other")
        assert (await asked(web, THERE, **bearer(web.key(acme)))).status_code == 403
        owner = crowd.signed_in(web, crowd.member(web, acme, Role.OWNER))
        assert (await asked(web, THERE, **owner)).status_code == 403

    async def test_asked_for_by_a_public_name_this_machine_is_not_believed(self, tmp_path: Path) -> None:
        web = made(tmp_path, hosts="http://agents.example.com")
        answer = await asked(web, HERE, Host="agents.example.com")
        assert answer.status_code == 401


class TestWhatWebTells:
    def test_requests_are_counted_by_what_they_came_to(self, web: Web, api: TestClient) -> None:
        for path in (RUNS, RUNS, "/api/v1/nowhere"):
            api.get(path)
        api.request("BREW", RUNS)
        found = read(api.get("/metrics").text)
        assert found["freehold_http_requests_total", "GET", "2xx"] == 2
        assert found["freehold_http_requests_total", "GET", "4xx"] == 1
        assert found["freehold_http_requests_total", "other", "4xx"] == 1
        assert found["freehold_http_request_seconds_count", "GET"] == 3

    def test_the_queue_is_told_with_its_oldest_run(self, web: Web, api: TestClient) -> None:
        with web.state.store.read() as platform:
            acme = platform.tenants.find("acme")
        runs = [api.post(RUNS, json={"agent": "helper", "input": "hi"}).json()["id"] for _ in range(3)]
        web.move(acme, runs[0], RunEvent.START)
        web.clock.wind(30)
        found = read(api.get("/metrics").text)
        assert found["freehold_runs", "queued"] == 2
        assert found["freehold_runs", "running"] == 1
        assert found["freehold_runs", "waiting"] == 0
        assert found["freehold_queue_oldest_seconds",] == 30
        assert "freehold_lease_age_seconds" not in str(found)

    def test_a_silent_worker_shows(self, web: Web, api: TestClient) -> None:
        with web.state.store.write() as platform:
            platform.workers.join("worker_1", at=web.clock.now() - timedelta(seconds=40))
            platform.workers.join("worker_2", at=web.clock.now())
        found = read(api.get("/metrics").text)
        assert (found["freehold_workers",], found["freehold_lease_age_seconds",]) == (2, 40)

    def test_repeats_are_counted(self, web: Web, api: TestClient) -> None:
        for path in (RUNS, "/api/v1/tenants/acme/agents/helper/messages"):
            body = {"agent": "helper", "input": "hi"} if path == RUNS else {"text": "hi"}
            for _ in range(3):
                api.post(path, json=body, headers={"Idempotency-Key": "k"})
        found = read(api.get("/metrics").text)
        assert found["freehold_duplicates_suppressed_total", "run"] == 2
        assert found["freehold_duplicates_suppressed_total", "message"] == 2

    @pytest.mark.parametrize("wanted", [False, True])
    def test_tenants_are_named_only_where_an_operator_wants_it(self, tmp_path: Path, *, wanted: bool) -> None:
        web = made(tmp_path, metrics_tenants=wanted)
        web.agent(web.tenant("acme"))
        with client(web) as api:
            api.post(RUNS, json={"agent": "helper", "input": "hi"})
            text = api.get("/metrics").text
        assert ("acme" in text, "ten_" in text) == (wanted, False)
        assert (read(text).get(("freehold_tenant_runs", "acme", "queued")) == 1) is wanted


class TestWhatAWorkerTells:
    async def test_steps_waits_and_ends_are_put_into_their_buckets(self, stage: Stage) -> None:
        stage.script = two_steps
        stage.start()
        await stage.settle()
        stage.script = always(Fail("no", "No."))
        stage.start()
        await stage.settle()
        stage.script = always(Done(""))
        found = read(stage.segments.metrics.text())
        assert found["freehold_queue_wait_seconds_count",] == 2
        assert found["freehold_run_duration_seconds_count", RunState.DONE] == 1
        assert found["freehold_run_duration_seconds_count", RunState.FAILED] == 1
        assert sum(found.get(("freehold_step_seconds_count", kind), 0) for kind in ("model", "tool")) == 2


class TestWhatTheGatewayTells:
    async def test_effects_repeats_and_calls_are_counted(self, tmp_path: Path) -> None:
        async with running(tmp_path) as kit:
            await kit.publish(tools={"shell": "allow", "delete_file": "ask"})
            await kit.worker.submit(work(), effect())
            await kit.worker.settle(work(), key=effect().key, state=EffectState.DONE, result={})
            await kit.worker.submit(work(), effect())
            await kit.worker.chat(work(), key="run_1/1/2/0", model="rehearsal", body=said("hello"))
            found = read(kit.gateway.metrics.text())
        assert found["freehold_effects_total", "open"] == 1
        assert found["freehold_duplicates_suppressed_total", "effect"] == 1
        assert found["freehold_model_call_seconds_count", "whole"] == 1


class TestThePort:
    async def test_it_tells_metrics_and_nothing_else_and_to_nobody_by_another_name(self, tmp_path: Path) -> None:
        port, metrics = free_port(), Metrics()
        settings = Settings(data=tmp_path, metrics_address=f"127.0.0.1:{port}")
        async with exposed(settings, metrics, FakeClock(), above=GATEWAY), httpx.AsyncClient() as asking:
            told = await asking.get(f"http://127.0.0.1:{port}/metrics")
            others = [
                await asking.get(f"http://127.0.0.1:{port}/"),
                await asking.post(f"http://127.0.0.1:{port}/metrics"),
                await asking.get(f"http://127.0.0.1:{port}/metrics", headers={"Host": "evil.example"}),
                await asking.get(f"http://127.0.0.1:{port}/metrics", headers={"Host": "127.evil.example"}),
            ]
        assert read(told.text)["freehold_process_resident_memory_bytes",] > 1_000_000
        assert [answer.status_code for answer in others] == [404] * 4

    async def test_where_nothing_is_stated_nobody_listens(self, tmp_path: Path) -> None:
        before = len(asyncio.all_tasks())
        async with exposed(Settings(data=tmp_path), Metrics(), FakeClock(), above=GATEWAY):
            assert len(asyncio.all_tasks()) == before

    @pytest.mark.parametrize("address", ["0.0.0.0:9464", "example.com:9464", "127.0.0.1", "10.0.0.1:80"])
    def test_it_listens_on_this_machine_alone(self, tmp_path: Path, address: str) -> None:
        with pytest.raises(Invalid) as refused:
            Settings.read({"FREEHOLD_DATA": str(tmp_path), "FREEHOLD_METRICS_ADDRESS": address})
        assert refused.value.code == "bad_setting"


def test_all_three_processes_of_a_platform_tell_their_metrics(tmp_path: Path) -> None:
    port = free_port()
    stated = {"FREEHOLD_METRICS_ADDRESS": f"127.0.0.1:{port}"}
    with LocalPlatform(tmp_path / "data", environment=stated) as platform:
        desk = Desk(platform)
        desk.settle("acme")
        desk.say("acme", "run: echo hi", wait=30)
        places = {"web": platform.url, "gateway": f"http://127.0.0.1:{port}", "worker": f"http://127.0.0.1:{port + 1}"}
        told = {name: read(httpx.get(f"{url}/metrics").text) for name, url in places.items()}
    assert told["web"]["freehold_workers",] == 1
    assert told["worker"]["freehold_run_duration_seconds_count", "done"] == 1
    assert told["worker"]["freehold_step_seconds_count", "model"] >= 2
    assert told["gateway"]["freehold_model_call_seconds_count", "whole"] >= 2
    for name, found in told.items():
        assert found["freehold_process_start_time_seconds",] > 1_000_000_000
        assert {sample[0] for sample in found} <= {sample for metric in METRICS for sample in spelt(metric)}, name


def spelt(metric: str) -> list[str]:
    return [metric, *(f"{metric}_{part}" for part in ("bucket", "sum", "count"))]


def free_port() -> int:
    """Return a port that is free, and the one above it too."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: Any = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return int(port)
