"""Requests as people make them, good and bad: what comes back, and that nothing is half-done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.audit.verifying import verify_file
from freehold.core.errors import Exhausted, Unavailable
from tests.webs import Web, client, made

MESSAGES = "/api/v1/tenants/acme/agents/helper/messages"
RUNS = "/api/v1/tenants/acme/runs"
KEY = {"Idempotency-Key": "k1"}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    made_web = made(tmp_path, message_bytes=2048)
    made_web.agent(made_web.tenant("acme"))
    return made_web


@pytest.fixture
def api(web: Web) -> Iterator[TestClient]:
    with client(web) as asking:
        yield asking


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("post", "/api/v1/tenants", {"slug": "Acme!"}, 422, "bad_slug"),
        ("post", "/api/v1/tenants", {"slug": "admin"}, 422, "bad_slug"),
        ("post", "/api/v1/tenants", {"slug": "acme"}, 409, "slug_taken"),
        ("post", "/api/v1/tenants", {}, 422, "invalid"),
        ("post", "/api/v1/tenants", {"slug": "fine", "plan": "gold"}, 422, "invalid"),
        ("post", "/api/v1/tenants", b"{", 422, "invalid_json"),
        ("post", "/api/v1/tenants", b"\xff\xfe", 422, "invalid_json"),
        ("post", "/api/v1/tenants", b"[" * 100_000, 422, "invalid_json"),
        ("get", "/api/v1/tenants/nobody", None, 404, "not_found"),
        ("get", "/api/v1/nothing", None, 404, "not_found"),
        ("put", "/api/v1/tenants", {}, 405, "method_not_allowed"),
        ("get", "/api/v1/tenants?limit=0", None, 422, "invalid"),
        ("post", "/api/v1/tenants/acme/agents", {"name": "helper", "model": "rehearsal"}, 409, "name_taken"),
        ("post", "/api/v1/tenants/acme/agents", {"name": "Bad Name", "model": "rehearsal"}, 422, "bad_name"),
        (
            "post",
            "/api/v1/tenants/acme/agents",
            {"name": "new", "model": "rehearsal", "tools": {"shell": "maybe"}},
            422,
            "bad_verdict",
        ),
        ("post", MESSAGES, {"text": "  "}, 422, "blank_message"),
        ("post", MESSAGES, {"text": "x" * 2049}, 413, "too_large"),
        ("post", MESSAGES, {"text": "x", "attachments": [{"data": "y" * 3000}]}, 413, "too_large"),
        ("post", MESSAGES, {"text": "x" * 3_000_000}, 413, "too_large"),
        ("post", MESSAGES, {"text": "hi", "conversation": "cnv_none"}, 404, "not_found"),
        ("post", "/api/v1/tenants/acme/agents/nobody/messages", {"text": "hi"}, 404, "not_found"),
        ("post", RUNS, {"agent": "helper", "input": " "}, 422, "blank_message"),
        ("post", RUNS, {"agent": "helper", "input": "x" * 2049}, 413, "too_large"),
        (
            "post",
            RUNS,
            {"agent": "helper", "input": "x", "deadline": "2020-01-01T00:00:00Z"},
            422,
            "deadline_passed",
        ),
        ("post", RUNS, {"agent": "helper", "input": "x", "deadline": "2030-01-01T00:00:00"}, 422, "invalid"),
        ("get", f"{RUNS}/run_none", None, 404, "not_found"),
        ("get", f"{RUNS}?state=happy", None, 422, "invalid"),
        ("post", f"{RUNS}/run_none/cancel", None, 404, "not_found"),
        ("post", "/api/v1/tenants/acme/approvals/apr_none/approve", {"hash": "a" * 64}, 404, "not_found"),
        ("post", "/api/v1/tenants/acme/approvals/apr_none/approve", {"hash": "short"}, 422, "invalid"),
        (
            "post",
            "/api/v1/tenants/acme/channels",
            {"kind": "webhook", "name": "front", "agent": "helper", "reply_url": "http://x/"},
            422,
            "blank_secret",
        ),
        (
            "post",
            "/api/v1/tenants/acme/channels",
            {"kind": "webhook", "name": "front", "agent": "helper", "reply_url": "http://x/", "secret": "none"},
            422,
            "missing_secret",
        ),
        (
            "post",
            "/api/v1/tenants/acme/channels",
            {"kind": "pigeon", "name": "f", "agent": "helper"},
            422,
            "unknown_kind",
        ),
        ("post", "/api/v1/tenants/acme/keys", {"scopes": ["runs:fly"]}, 422, "unknown_scope"),
        ("get", "/api/v1/tenants/acme/audit?cursor=x", None, 422, "bad_cursor"),
        ("post", "/hooks/chn_none", {"text": "hi"}, 404, "not_found"),
    ],
)
def test_bad_input_is_told_with_code_and_remedy(
    web: Web, api: TestClient, method: str, path: str, body: Any, status: int, code: str
) -> None:
    raw = (
        {"content": body, "headers": {"Content-Type": "application/json"}}
        if isinstance(body, bytes)
        else {"json": body}
    )
    answer = api.request(method, path, **raw)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "code", "remedy"}
    assert web.engine.submitted == []


def test_a_body_that_is_sent_in_pieces_is_measured_too(api: TestClient) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    answer = api.post(MESSAGES, content=pieces(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_dependency_that_is_away_says_when_to_come_back(web: Web, api: TestClient) -> None:
    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("The gateway is away.", code="gateway_away", after=0.5)

    web.gateway.list_secrets = away  # type: ignore[method-assign]
    answer = api.get("/api/v1/tenants/acme/secrets")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_full_disk_refuses_and_accepts_nothing(web: Web, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise Exhausted("There is no room left.", code="disk_full", status=507, remedy="Free space.")

    monkeypatch.setattr(web.state.store.database, "write", full)
    answer = api.post(MESSAGES, json={"text": "hi"})
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert web.engine.submitted == []


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/api/v1/tenants", {"slug": "fresh"}, "id"),
        ("/api/v1/tenants/acme/agents", {"name": "fresh", "model": "rehearsal"}, "id"),
        (RUNS, {"agent": "helper", "input": "hi"}, "id"),
        (MESSAGES, {"text": "hi"}, "message"),
        ("/api/v1/tenants/acme/connections", {"kind": "openai", "name": "c"}, "id"),
        ("/api/v1/connections", {"kind": "openai", "name": "c"}, "id"),
        ("/api/v1/tenants/acme/secrets", {"name": "s", "value": "v"}, "version"),
    ],
)
def test_the_same_request_under_the_same_key_is_answered_as_the_first_was(
    api: TestClient, path: str, body: dict[str, Any], name: str
) -> None:
    first, again = (api.post(path, json=body, headers=KEY) for _ in range(2))
    assert first.status_code in {201, 202}
    assert again.status_code == first.status_code
    assert again.json()[name] == first.json()[name]


@pytest.mark.parametrize(
    ("path", "body", "other"),
    [
        ("/api/v1/tenants", {"slug": "fresh"}, {"slug": "other"}),
        ("/api/v1/tenants/acme/agents", {"name": "a1", "model": "rehearsal"}, {"name": "a2", "model": "rehearsal"}),
        (RUNS, {"agent": "helper", "input": "hi"}, {"agent": "helper", "input": "ho"}),
        (MESSAGES, {"text": "hi"}, {"text": "ho"}),
        (MESSAGES, {"text": "hi"}, {"text": "hi", "sender": "ann"}),
        ("/api/v1/connections", {"kind": "openai", "name": "c"}, {"kind": "openai", "name": "d"}),
    ],
)
def test_another_request_under_a_used_key_is_refused(
    api: TestClient, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    api.post(path, json=body, headers=KEY)
    answer = api.post(path, json=other, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "key_reused")


def test_everything_that_was_done_is_in_the_record(api: TestClient) -> None:
    api.post(MESSAGES, json={"text": "hi"})
    api.post(RUNS, json={"agent": "helper", "input": "hi"})
    api.post("/api/v1/tenants/acme/keys", json={"scopes": ["runs:read"]})
    actions = [link["action"] for link in api.get("/api/v1/tenants/acme/audit").json()["items"]]
    assert actions == ["tenant.create", "tenant.deploy", "message.accept", "run.start", "key.create"]
    assert api.get("/api/v1/audit/verify").json()["ok"] is True


def test_an_export_verifies_offline_and_a_changed_line_is_named(api: TestClient, tmp_path: Path) -> None:
    api.post(MESSAGES, json={"text": "hi"})
    exported = api.get("/api/v1/audit/export").content
    file = tmp_path / "audit.jsonl"
    file.write_bytes(exported)
    key = api.get("/api/v1/audit/key").json()["key"]
    assert verify_file(file, key=key).ok
    file.write_bytes(exported.replace(b"message.accept", b"message.forget"))
    assert [fault.split()[-1] for fault in verify_file(file, key=key).faults] == ["fit"]
    assert "changed" in verify_file(file, key=key).faults[0]


def test_a_secret_goes_in_and_never_comes_out(api: TestClient) -> None:
    answer = api.post("/api/v1/tenants/acme/secrets", json={"name": "s", "value": "canary-7431"})
    listed = api.get("/api/v1/tenants/acme/secrets")
    refused = api.post("/api/v1/tenants/acme/secrets", json={"name": "s", "value": "canary-7431", "x": "canary-7431"})
    assert (answer.status_code, refused.status_code) == (201, 422)
    assert all("canary" not in shown.text for shown in (answer, listed, refused))


def test_health_needs_no_key_and_says_who_is_away(web: Web) -> None:
    with client(web, None) as nobody:
        assert nobody.get("/healthz").status_code == 503
        with web.state.store.write() as platform:
            platform.workers.join("w1", at=web.clock.now())
        assert nobody.get("/healthz").json() == {"ok": True, "web": True, "worker": True, "gateway": True}
        web.clock.wind(60)
        assert nobody.get("/healthz").json()["worker"] is False
