"""A key for one agent: whatever it asks for by whatever id, the tenant's other agents are not there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.core.agents import Agent
from freehold.core.tenants import Tenant
from tests.webs import Web, bearer, client, made

AT = "/api/v1/tenants/acme"
SCOPES = ("agents:admin", "approvals:admin", "messages:admin", "runs:admin")


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    return web.tenant("acme")


@pytest.fixture
def own(web: Web, acme: Tenant) -> Agent:
    return web.agent(acme, "own")


@pytest.fixture
def other(web: Web, acme: Tenant) -> Agent:
    return web.agent(acme, "other")


@pytest.fixture
def whole(web: Web, acme: Tenant) -> Iterator[TestClient]:
    with client(web, web.key(acme)) as asking:
        yield asking


@pytest.fixture
def bound(web: Web, acme: Tenant, own: Agent) -> Iterator[TestClient]:
    with client(web, web.key(acme, *SCOPES, agent=own.id)) as asking:
        yield asking


def belongings(web: Web, acme: Tenant, asking: TestClient, agent: str) -> dict[str, str]:
    said = asking.post(f"{AT}/agents/{agent}/messages", json={"text": "hello"}).json()
    found = {"message": said["message"]["id"], "conversation": said["message"]["conversation"]}
    return found | {"run": said["run"]["id"], "agent": agent}


PATHS = [
    ("GET", "agents/{agent}"),
    ("GET", "agents/{agent}/versions"),
    ("POST", "agents/{agent}/versions"),
    ("POST", "agents/{agent}/deploy"),
    ("POST", "agents/{agent}/rollback"),
    ("GET", "agents/{agent}/diff?from=1&to=1"),
    ("GET", "agents/{agent}/messages"),
    ("POST", "agents/{agent}/messages"),
    ("GET", "messages/{message}"),
    ("GET", "conversations/{conversation}/messages"),
    ("GET", "runs/{run}"),
    ("GET", "runs/{run}/events"),
    ("GET", "runs/{run}/steps"),
    ("POST", "runs/{run}/cancel"),
    ("POST", "runs/{run}/signal"),
    ("GET", "runs?agent={agent}"),
]
BODIES: dict[str, dict[str, Any]] = {
    "versions": {"model": "rehearsal"},
    "deploy": {"version": "1"},
    "messages": {"text": "hello"},
    "signal": {"name": "go"},
}


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_another_agent_answers_like_one_that_is_not_there(
    web: Web, acme: Tenant, other: Agent, whole: TestClient, bound: TestClient, method: str, path: str
) -> None:
    theirs = belongings(web, acme, whole, other.name)
    missing = {name: f"{value[:-4]}0000" for name, value in theirs.items()}
    body = BODIES.get(path.rpartition("/")[2], {}) if method == "POST" else None
    asked = [bound.request(method, f"{AT}/{path.format(**names)}", json=body) for names in (theirs, missing)]
    assert asked[0].status_code == 404
    assert asked[0].content == asked[1].content


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_its_own_agent_answers(
    web: Web, acme: Tenant, own: Agent, whole: TestClient, bound: TestClient, method: str, path: str
) -> None:
    names = belongings(web, acme, whole, own.name)
    whole.post(f"{AT}/agents/own/versions", json={"model": "rehearsal", "instructions": "Be kind."})
    body = BODIES.get(path.rpartition("/")[2], {}) if method == "POST" else None
    assert bound.request(method, f"{AT}/{path.format(**names)}", json=body).status_code < 300


def test_lists_show_its_own_agent_alone(
    web: Web, acme: Tenant, own: Agent, other: Agent, whole: TestClient, bound: TestClient
) -> None:
    ours, theirs = (belongings(web, acme, whole, agent.name) for agent in (own, other))
    assert [run["id"] for run in bound.get(f"{AT}/runs").json()["items"]] == [ours["run"]]
    assert [agent["id"] for agent in bound.get(f"{AT}/agents").json()["items"]] == [own.id]
    web.ask(acme, theirs["run"])
    assert bound.get(f"{AT}/approvals").json()["items"] == []


def test_it_goes_on_with_no_conversation_of_another_agent(
    web: Web, acme: Tenant, own: Agent, other: Agent, whole: TestClient, bound: TestClient
) -> None:
    theirs = belongings(web, acme, whole, other.name)
    said = {"text": "hello", "conversation": theirs["conversation"]}
    missing = said | {"conversation": "cnv_none"}
    answers = [bound.post(f"{AT}/agents/own/messages", json=body) for body in (said, missing)]
    assert answers[0].status_code == 404
    assert answers[0].content == answers[1].content


def test_it_makes_no_other_agent(web: Web, acme: Tenant, bound: TestClient) -> None:
    refused = bound.post(f"{AT}/agents", json={"name": "third", "model": "rehearsal"})
    assert refused.status_code == 403
    assert refused.json()["code"] == "bound_to_agent"
    assert web.gateway.published == []


def test_its_idempotency_keys_are_its_own(
    web: Web, acme: Tenant, own: Agent, other: Agent, whole: TestClient, bound: TestClient
) -> None:
    key = {"Idempotency-Key": "one"}
    theirs = whole.post(f"{AT}/runs", json={"agent": "other", "input": "x"}, headers=key).json()["id"]
    made = bound.post(f"{AT}/runs", json={"agent": "own", "input": "x"}, headers=key)
    assert made.status_code == 202
    assert made.json()["id"] != theirs


def test_a_key_of_the_whole_tenant_still_sees_all(
    web: Web, acme: Tenant, own: Agent, other: Agent, whole: TestClient
) -> None:
    assert len(whole.get(f"{AT}/agents", headers=bearer(web.key(acme))).json()["items"]) == 2
