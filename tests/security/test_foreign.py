"""
What is foreign answers byte for byte like what is missing: in the address, inside one's own address, as a model.

The application itself answers here. Whoever asks may do everything at home, so nothing but being foreign stops them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.core.people import Invitation, Role
from freehold.core.tenants import Tenant
from freehold.web.building import build
from tests import crowd
from tests.webs import Web, bearer, client, made

METHODS = ("get", "post", "put", "patch", "delete")
BODIES: dict[str, dict[str, Any]] = {
    "versions": {"model": "rehearsal"},
    "deploy": {"version": "1"},
    "messages": {"text": "hello"},
    "signal": {"name": "go"},
    "approve": {"hash": "a" * 64},
    "deny": {"hash": "a" * 64},
    "{member}": {"role": "viewer"},
}
QUERIES = {"diff": {"from": "1", "to": "1"}}
"""What is sent to addresses with an id in them, by their last piece; to others, nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    tenant = web.tenant("acme")
    web.agent(tenant)
    return tenant


@pytest.fixture
def other(web: Web) -> Tenant:
    tenant = web.tenant("other")
    web.agent(tenant)
    return tenant


@pytest.fixture
def asking(web: Web) -> Iterator[TestClient]:
    with client(web, None) as nobody:
        yield nobody


def operations(web: Web) -> Iterator[tuple[str, str]]:
    """Give method and path of every route within a tenant."""
    for path, said in build(web.state).openapi()["paths"].items():
        if "{tenant}" in path:
            yield from ((method, path) for method in METHODS if method in said)


def told(answer: Any) -> tuple[int, bytes, dict[str, str]]:
    """Return all that an answer says, but for the id of its request."""
    return answer.status_code, answer.content, {n: v for n, v in answer.headers.items() if n != "x-request-id"}


def ask(asking: TestClient, method: str, path: str, names: dict[str, str], headers: dict[str, str]) -> Any:
    asking.cookies.clear()
    body = BODIES.get(path.rpartition("/")[2], {}) if method in {"post", "put", "patch"} else None
    query = QUERIES.get(path.rpartition("/")[2])
    return asking.request(method, path.format(**names), headers=headers, json=body, params=query)


def in_path(path: str) -> list[str]:
    return [piece[1:-1] for piece in path.split("/") if piece.startswith("{")]


def test_a_foreign_tenant_answers_like_a_missing_one(web: Web, asking: TestClient, acme: Tenant, other: Tenant) -> None:
    key = bearer(web.key(other))
    owner = crowd.signed_in(web, crowd.member(web, other, Role.OWNER))
    for method, path in operations(web):
        rest = dict.fromkeys(in_path(path), "none")
        for headers in (key, owner):
            answers = [ask(asking, method, path, rest | {"tenant": it}, headers) for it in ("acme", acme.id, "nowhere")]
            assert answers[0].status_code == 404, (method, path)
            assert told(answers[0]) == told(answers[1]) == told(answers[2]), (method, path)


def test_what_is_foreign_inside_ones_own_address_is_missing_there(
    web: Web, asking: TestClient, acme: Tenant, other: Tenant
) -> None:
    theirs, owner = belongings(web, asking, other), bearer(web.key(acme))
    walked = set()
    for method, path in operations(web):
        for name in set(in_path(path)) & theirs.keys():
            missing = theirs[name][:-8] + "00000000"
            names = dict.fromkeys(in_path(path), "none") | {"tenant": "acme"}
            answers = [ask(asking, method, path, names | {name: it}, owner) for it in (theirs[name], missing)]
            assert answers[0].status_code in {403, 404}, (method, path, answers[0].text)
            assert told(answers[0]) == told(answers[1]), (method, path)
            walked.add(name)
    assert walked == theirs.keys()
    assert belongings_left(web, other, theirs)


def belongings(web: Web, asking: TestClient, tenant: Tenant) -> dict[str, str]:
    """Let a tenant have one of everything, and return their ids."""
    owner = bearer(web.key(tenant))
    at = f"/api/v1/tenants/{tenant.slug}"
    said = asking.post(f"{at}/agents/helper/messages", headers=owner, json={"text": "hello"}).json()
    run = asking.post(f"{at}/runs", headers=owner, json={"agent": "helper", "input": "x"}).json()["id"]
    asking.post(f"{at}/secrets", headers=owner, json={"name": "s", "value": "v"})
    hook = {"kind": "webhook", "name": "c", "agent": "helper", "secret": "s", "reply_url": "https://example.com/"}
    channel = asking.post(f"{at}/channels", headers=owner, json=hook)
    assert channel.status_code == 201, channel.text
    with web.state.store.tenant(tenant.id).write() as scope:
        offered = Invitation(
            id=web.state.ids("inv"),
            tenant=tenant.id,
            email="a@example.com",
            role=Role.VIEWER,
            created_at=web.clock.now(),
            expires_at=web.clock.now().replace(year=2030),
            invited_by="operator",
            hash="a" * 64,
        )
        scope.invitations.add(offered)
        agent = scope.agents.find("helper").id
    who = crowd.member(web, tenant, Role.OWNER)
    with web.state.store.tenant(tenant.id).read() as scope:
        place = scope.members.of_person(who.id)
    with web.state.store.read() as platform:
        key = platform.keys.of(tenant.id)[0].id
    found = {
        "agent": agent,
        "message": said["message"]["id"],
        "conversation": said["message"]["conversation"],
        "run": run,
        "approval": web.ask(tenant, run).id,
        "channel": channel.json()["id"],
        "key": key,
    }
    routed = {name for _, path in operations(web) for name in in_path(path)}
    return found | {"member": place.id, "invitation": offered.id} if place and "member" in routed else found


def belongings_left(web: Web, tenant: Tenant, ids: dict[str, str]) -> bool:
    """Return whether nobody took anything of it away."""
    with web.state.store.tenant(tenant.id).read() as scope:
        kept = [scope.channels.get(ids["channel"])["id"], scope.runs.get(ids["run"]).state, len(scope.members.all())]
    with web.state.store.read() as platform:
        return kept == [ids["channel"], "waiting", 1] and platform.keys.of(tenant.id)[0].revoked_at is None


def test_a_foreign_model_answers_like_a_missing_one(web: Web, asking: TestClient, acme: Tenant, other: Tenant) -> None:
    stranger = bearer(web.key(other))
    said = {"messages": [{"role": "user", "content": "hello"}]}
    answers = []
    for model in ("acme/helper", "nope/helper", "acme/nobody"):
        answer = asking.post("/v1/chat/completions", headers=stranger, json=said | {"model": model})
        answers.append((answer.status_code, answer.text.replace(model, "")))
    assert answers[0][0] == 404
    assert len(set(answers)) == 1


def test_a_tenant_sees_itself_alone(web: Web, asking: TestClient, acme: Tenant, other: Tenant) -> None:
    web.agent(other, "spy")
    owner = bearer(web.key(acme))
    assert [tenant["slug"] for tenant in asking.get("/api/v1/tenants", headers=owner).json()["items"]] == ["acme"]
    assert [model["id"] for model in asking.get("/v1/models", headers=owner).json()["data"]] == ["acme/helper"]


def test_a_version_of_another_is_no_version_to_deploy_or_compare(
    web: Web, asking: TestClient, acme: Tenant, other: Tenant
) -> None:
    foreign, neighbour = web.agent(other, "theirs"), web.agent(acme, "second")
    owner, at = bearer(web.key(acme)), "/api/v1/tenants/acme/agents/helper"
    for version in (foreign.version, neighbour.version, "ver_none"):
        compared = {"from": "1", "to": version}
        answers = [
            asking.post(f"{at}/deploy", headers=owner, json={"version": version}),
            asking.post(f"{at}/deploy", headers=owner, json={"version": version, "share": 10}),
            asking.get(f"{at}/diff", headers=owner, params=compared),
        ]
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 3


def test_a_key_for_one_agent_sees_it_alone(web: Web, asking: TestClient, acme: Tenant) -> None:
    bound = web.agent(acme, "bound")
    key = bearer(web.key(acme, "agents:read", "messages:write", "runs:write", "approvals:write", agent=bound.id))
    at = "/api/v1/tenants/acme"
    assert [agent["name"] for agent in asking.get(f"{at}/agents", headers=key).json()["items"]] == ["bound"]
    assert [model["id"] for model in asking.get("/v1/models", headers=key).json()["data"]] == ["acme/bound"]
    for path in ("agents/{}", "agents/{}/versions"):
        foreign, missing = (asking.get(f"{at}/{path.format(name)}", headers=key) for name in ("helper", "nobody"))
        assert foreign.status_code == 404
        assert told(foreign) == told(missing)
    run = {"agent": "helper", "input": "x"}
    theirs = asking.post(f"{at}/runs", headers=bearer(web.key(acme)), json=run).json()["id"]
    assert asking.post(f"{at}/runs", headers=key, json=run).status_code == 404
    assert asking.get(f"{at}/runs/{theirs}", headers=key).status_code == 404
    assert asking.post(f"{at}/runs/{theirs}/cancel", headers=key).status_code == 404
    assert asking.get(f"{at}/runs", headers=key).json()["items"] == []


def test_the_served_description_is_the_applications(web: Web, asking: TestClient) -> None:
    served = asking.get("/api/openapi.json").json()
    assert served["openapi"].startswith("3.1")
    assert served["components"]["securitySchemes"].keys() == {"key", "session"}
