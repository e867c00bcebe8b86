"""What one can do with messages, runs and approvals over the API, step by step."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from freehold.core.runs import RunEvent
from tests.webs import Web, client, made

MESSAGES = "/api/v1/tenants/acme/agents/helper/messages"
RUNS = "/api/v1/tenants/acme/runs"


@pytest.fixture
def web(tmp_path: Path) -> Web:
    made_web = made(tmp_path)
    made_web.agent(made_web.tenant("acme"))
    return made_web


@pytest.fixture
def api(web: Web) -> Iterator[TestClient]:
    with client(web) as asking:
        yield asking


def test_a_message_is_followed_from_queued_to_answered(web: Web, api: TestClient) -> None:
    acme = web.state.store
    sent = api.post(MESSAGES, json={"text": "hi", "sender": "ann"})
    shown = sent.json()
    assert (sent.status_code, shown["message"]["state"], "reply" in shown) == (202, "queued", False)
    assert web.engine.submitted == [f"{shown['run']['id']}:1"]
    assert web.nudge.sent == [{"kick": True}]
    with acme.read() as platform:
        tenant = platform.tenants.find("acme")
    place = f"/api/v1/tenants/acme/messages/{shown['message']['id']}"
    assert sent.headers["location"] == place
    web.move(tenant, shown["run"]["id"], RunEvent.START)
    assert api.get(place).json()["message"]["state"] == "running"
    web.move(tenant, shown["run"]["id"], RunEvent.FINISH, output="hello")
    answered = api.get(place).json()
    assert (answered["message"]["state"], answered["reply"]) == ("answered", {"text": "hello"})


def test_files_come_with_a_message_and_are_kept_once(web: Web, api: TestClient) -> None:
    files = [{"name": "a.txt", "content": "aGVsbG8=", "type": "text/plain"}]
    sent = [api.post(MESSAGES, json={"text": "look", "attachments": files}, headers={"Idempotency-Key": "k"})] * 2
    assert sent[0].json()["message"]["attachments"] == [{"name": "a.txt", "type": "text/plain", "size": 5}]
    assert sent[1].json()["message"]["id"] == sent[0].json()["message"]["id"]
    with web.state.store.read() as platform:
        tenant = platform.tenants.find("acme")
    with web.state.store.tenant(tenant.id).read() as scope:
        (kept,) = scope.talk.message(sent[0].json()["message"]["id"]).attachments
    assert asyncio.run(web.state.files(tenant.id).get(kept["file"])) == b"hello"


@pytest.mark.parametrize("attached", [{}, {"name": "../a", "content": ""}, {"name": "a", "content": "!"}])
def test_a_file_that_cannot_be_right_is_refused_with_its_message(
    web: Web, api: TestClient, attached: dict[str, str]
) -> None:
    answer = api.post(MESSAGES, json={"text": "look", "attachments": [attached]})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_attachment")
    assert web.engine.submitted == []


def test_a_failure_is_told_with_its_code(web: Web, api: TestClient) -> None:
    shown = api.post(MESSAGES, json={"text": "hi"}).json()
    with web.state.store.read() as platform:
        tenant = platform.tenants.find("acme")
    web.move(tenant, shown["run"]["id"], RunEvent.START)
    error = {"code": "provider_refused", "message": "No.", "remedy": "Ask."}
    web.move(tenant, shown["run"]["id"], RunEvent.FAIL, error=error)
    told = api.get(f"/api/v1/tenants/acme/messages/{shown['message']['id']}").json()
    assert (told["message"]["state"], told["error"]) == ("failed", error)


def test_a_message_that_arrives_meanwhile_waits_for_its_turn(web: Web, api: TestClient) -> None:
    first = api.post(MESSAGES, json={"text": "one"}).json()
    second = api.post(MESSAGES, json={"text": "two", "conversation": first["message"]["conversation"]}).json()
    assert second["message"]["state"] == "received"
    assert len(web.engine.submitted) == 1
    with web.state.store.read() as platform:
        tenant = platform.tenants.find("acme")
    web.answer(tenant, first["run"]["id"], "done")
    assert web.engine.submitted[1] == f"{second['run']['id']}:1"
    listed = api.get(f"/api/v1/tenants/acme/conversations/{first['message']['conversation']}/messages").json()
    assert [item["message"]["state"] for item in listed["items"]] == ["answered", "queued"]


def test_a_cancelled_message_failed_and_its_worker_is_told(web: Web, api: TestClient) -> None:
    shown = api.post(MESSAGES, json={"text": "hi"}).json()
    cancelled = api.post(f"{RUNS}/{shown['run']['id']}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert {"cancel": shown["run"]["id"]} in web.nudge.sent
    told = api.get(f"/api/v1/tenants/acme/messages/{shown['message']['id']}").json()
    assert (told["message"]["state"], told["error"]["code"]) == ("failed", "cancelled")
    assert api.post(f"{RUNS}/{shown['run']['id']}/cancel").status_code == 200


def test_an_approval_is_decided_once_with_the_hash_that_was_shown(web: Web, api: TestClient) -> None:
    run = api.post(MESSAGES, json={"text": "delete it"}).json()["run"]["id"]
    with web.state.store.read() as platform:
        tenant = platform.tenants.find("acme")
    asked = web.ask(tenant, run)
    listed = api.get("/api/v1/tenants/acme/approvals?state=asked").json()["items"]
    assert [item["id"] for item in listed] == [asked.id]
    place = f"/api/v1/tenants/acme/approvals/{asked.id}"
    stale = api.post(f"{place}/approve", json={"hash": "b" * 64})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_hash")
    assert web.gateway.decided == {}
    decided = api.post(f"{place}/approve", json={"hash": asked.hash})
    assert (decided.status_code, decided.json()["state"]) == (200, "approved")
    assert web.gateway.decided == {asked.key: True}
    used = api.post(f"{place}/deny", json={"hash": asked.hash})
    assert (used.status_code, used.json()["code"]) == (409, "bad_transition")
    assert api.get(f"{RUNS}/{run}").json()["state"] == "queued"


def test_a_decision_that_broke_off_half_way_can_be_finished(web: Web, api: TestClient) -> None:
    """The gateway knows it, our row does not: whoever decides again finds the way free."""
    run = api.post(MESSAGES, json={"text": "delete it"}).json()["run"]["id"]
    with web.state.store.read() as platform:
        asked = web.ask(platform.tenants.find("acme"), run)
    web.gateway.decided[asked.key] = True
    decided = api.post(f"/api/v1/tenants/acme/approvals/{asked.id}/approve", json={"hash": asked.hash})
    assert decided.json()["state"] == "approved"


def test_a_signal_with_the_same_id_is_told_once(web: Web, api: TestClient) -> None:
    run = api.post(RUNS, json={"agent": "helper", "input": "hi"}).json()["id"]
    for _ in range(2):
        assert api.post(f"{RUNS}/{run}/signal", json={"name": "go", "id": "s1"}).status_code == 200
    kinds = [event["type"] for event in api.get(f"{RUNS}/{run}/events").json()["items"]]
    assert kinds.count("signal.received") == 1


def test_lists_come_in_pages(api: TestClient) -> None:
    made_ids = [api.post(RUNS, json={"agent": "helper", "input": "hi"}).json()["id"] for _ in range(5)]
    found: list[str] = []
    cursor = ""
    while True:
        page = api.get(f"{RUNS}?limit=2&cursor={cursor}").json()
        found += [run["id"] for run in page["items"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    assert found == made_ids[::-1]
