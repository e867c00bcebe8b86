"""A run told in order on a whole platform, and who may be told what of it."""

from pathlib import Path
from typing import Any

import pytest

from freehold.core.people import PlatformRole
from freehold.core.runs import RunEvent
from freehold.testing.platform import LocalPlatform
from tests import crowd
from tests.platforms import Desk, patient, run_cli, told
from tests.webs import Web, bearer, client, made

WORDS = "secret-launch-plan"


def ran(desk: Desk, tenant: str) -> str:
    """Return a run that wrote a file, asked whether it may delete it, was allowed to and did."""
    desk.settle(tenant)
    desk.say(tenant, f"write {WORDS}.txt: x", wait=30)
    waiting = desk.say(tenant, f"delete {WORDS}.txt", wait=30)
    (asked,) = patient(lambda: desk.api.items(f"tenants/{tenant}/approvals", state="asked"))
    patient(lambda: desk.api.post(f"tenants/{tenant}/approvals/{asked['id']}/approve", {"hash": asked["hash"]}))
    run = str(waiting["run"]["id"])
    assert desk.ended(tenant, run)["state"] == "done"
    return run


def places(items: list[dict[str, Any]], *wanted: str) -> list[int]:
    """Return where these stand first."""
    named = [(item["what"], item["detail"].get("operation", "")) for item in items]
    return [next(n for n, name in enumerate(named) if what in {name[0], " ".join(name)}) for what in wanted]


def test_a_run_tells_in_order_what_it_saw_decided_and_did(platform: LocalPlatform, desk: Desk) -> None:
    run = ran(desk, "retold")
    audit = told(platform, "run", "audit", run, "-t", "retold")
    items = audit["items"]
    order = places(
        items, "run.queued", "run.started", "effect.asked", "approval.asked", "approval.approved",
        "run.resumed", "effect.open delete_file", "run.done",
    )  # fmt: skip
    assert order == sorted(order)
    assert WORDS not in str(audit)
    decided = items[places(items, "approval.approved")[0]]
    assert (decided["kind"], decided["by"], decided["store"]) == ("decided", "operator", "database")
    model = next(item for item in items if item["kind"] == "step" and item["what"].startswith("model"))
    assert model["usage"]["tokens_in"] > 0
    assert {"asked", "did", "saw", "step"} <= {item["kind"] for item in items}
    saw = [item for item in items if item["what"] == "user"]
    assert len({item["key"].partition("#")[0] for item in saw}) == 1
    assert saw[0]["origins"] == ["member"]


def test_a_run_is_told_in_words_to_whoever_asks_for_them(platform: LocalPlatform, desk: Desk) -> None:
    run = ran(desk, "inwords")
    plain = run_cli(platform, "run", "audit", run, "-t", "inwords")
    assert plain.returncode == 0, plain.stderr
    assert WORDS not in plain.stdout
    assert "effect.done" in plain.stdout
    assert "step.started" not in plain.stdout
    assert WORDS in run_cli(platform, "run", "audit", run, "-t", "inwords", "--texts").stdout


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


def test_an_auditor_is_told_of_a_run_and_not_what_was_said(web: Web) -> None:
    acme = web.tenant("acme")
    web.agent(acme)
    auditor = crowd.signed_in(web, crowd.person(web, platform_role=PlatformRole.AUDITOR))
    with client(web) as api:
        run = api.post("/api/v1/tenants/acme/runs", json={"agent": "helper", "input": WORDS}).json()["id"]
        web.answer(acme, run, WORDS)
        path = f"/api/v1/tenants/acme/runs/{run}/audit"
        mine = api.get(path, params={"texts": "true"}).text
        api.headers.clear()
        shown = api.get(path, headers=auditor)
        refused = api.get(path, params={"texts": "true"}, headers=auditor)
    assert WORDS in mine
    assert (shown.status_code, WORDS in shown.text) == (200, False)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


def test_a_run_is_told_in_pages(web: Web) -> None:
    acme = web.tenant("acme")
    web.agent(acme)
    with client(web) as api:
        run = api.post("/api/v1/tenants/acme/runs", json={"agent": "helper", "input": "hi"}).json()["id"]
        web.move(acme, run, RunEvent.START)
        path, numbers, cursor = f"/api/v1/tenants/acme/runs/{run}/audit", list[int](), "0"
        while cursor is not None:
            page = api.get(path, params={"limit": 2, "cursor": cursor}).json()
            numbers, cursor = numbers + [item["n"] for item in page["items"]], page["next"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 2


def test_a_neighbour_is_told_nothing_of_a_run(web: Web) -> None:
    web.agent(web.tenant("acme"))
    other = web.tenant("other")
    web.agent(other)
    with client(web) as api:
        run = api.post("/api/v1/tenants/acme/runs", json={"agent": "helper", "input": "hi"}).json()["id"]
        foreign = api.get(f"/api/v1/tenants/other/runs/{run}/audit", headers=bearer(web.key(other)))
        missing = api.get("/api/v1/tenants/other/runs/run_none/audit", headers=bearer(web.key(other)))
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json()["code"] == missing.json()["code"]
