"""
Who may ask for what: every route of the description, asked by everybody.

A route that is added later is walked too; one that names no scope fails here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.testclient import TestClient

from freehold.core.tenants import Tenant
from freehold.tenants.keys import LEVELS, NOUNS, mint
from freehold.web.building import build
from tests.webs import Web, bearer, client, made

METHODS = ("get", "post", "put", "patch", "delete")
OPEN = {("get", "/healthz"), ("post", "/hooks/{channel}")}
OUTSIDE_TENANTS = {("post", "/v1/chat/completions"), ("get", "/v1/models"), ("get", "/api/v1/tenants")}
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/tenants": {"slug": "fresh"},
    "/api/v1/tenants/{tenant}/agents": {"name": "fresh", "model": "rehearsal"},
    "/api/v1/tenants/{tenant}/agents/{agent}/versions": {"model": "rehearsal"},
    "/api/v1/tenants/{tenant}/agents/{agent}/messages": {"text": "hello"},
    "/api/v1/tenants/{tenant}/runs": {"agent": "helper", "input": "hello"},
    "/api/v1/tenants/{tenant}/runs/{run}/signal": {"name": "go"},
    "/api/v1/tenants/{tenant}/approvals/{approval}/approve": {"hash": "a" * 64},
    "/api/v1/tenants/{tenant}/approvals/{approval}/deny": {"hash": "a" * 64},
    "/api/v1/tenants/{tenant}/secrets": {"name": "s", "value": "v"},
    "/api/v1/secrets": {"name": "s", "value": "v"},
    "/api/v1/tenants/{tenant}/connections": {"kind": "openai", "name": "c"},
    "/api/v1/connections": {"kind": "openai", "name": "c"},
    "/api/v1/tenants/{tenant}/channels": {"kind": "webhook", "name": "c", "agent": "helper", "secret": "s"},
    "/api/v1/tenants/{tenant}/keys": {"scopes": ["runs:read"]},
    "/api/v1/keys": {"scopes": ["runs:read"]},
    "/v1/chat/completions": {"model": "acme/helper", "messages": [{"role": "user", "content": "hello"}]},
}


class Route(NamedTuple):
    method: str
    path: str
    scope: str
    security: list[Any]

    def at(self, tenant: str, **ids: str) -> str:
        names = {"agent": "helper", "run": "run_none", "message": "msg_none", "approval": "apr_none"} | ids
        rest = {"name": "none", "key": "key_none", "channel": "chn_none", "conversation": "cnv_none"}
        return self.path.format(tenant=tenant, **names | {name: it for name, it in rest.items() if name not in names})

    @property
    def of_tenant(self) -> bool:
        return "{tenant}" in self.path


def routes(web: Web) -> list[Route]:
    found = []
    for path, operations in build(web.state).openapi()["paths"].items():
        for method in METHODS:
            if method in operations:
                said = operations[method]
                found.append(Route(method, path, said.get("x-scope", ""), said.get("security", [])))
    return found


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    tenant = web.tenant("acme")
    web.agent(tenant)
    return tenant


@pytest.fixture
def asking(web: Web, acme: Tenant) -> Iterator[TestClient]:
    with client(web, None) as nobody:
        yield nobody


def ask(asking: TestClient, route: Route, path: str, key: str | None = None) -> Any:
    headers = {} if key is None else bearer(key)
    body = BODIES.get(route.path) if route.method == "post" else None
    return asking.request(route.method, path, headers=headers, json=body)


def test_every_route_says_which_scope_it_needs(web: Web) -> None:
    known = {f"{noun}:{level}" for noun in NOUNS for level in LEVELS}
    for route in routes(web):
        if (route.method, route.path) in OPEN:
            assert (route.scope, route.security) == ("none", [])
        else:
            assert route.scope in known, route
            assert route.security == [{"key": []}], route


def test_every_route_that_takes_a_body_is_walked_with_one(web: Web) -> None:
    posts = {route.path for route in routes(web) if route.method == "post" and (route.method, route.path) not in OPEN}
    assert posts - BODIES.keys() == {"/api/v1/tenants/{tenant}/runs/{run}/cancel"}


def test_the_served_description_is_the_applications(web: Web, asking: TestClient) -> None:
    told = asking.get("/api/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    assert told["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


@pytest.mark.parametrize("key", [None, "", "nonsense", mint("key_1")], ids=["none", "blank", "nonsense", "not ours"])
def test_nobody_gets_in_without_a_key_in_force(web: Web, asking: TestClient, key: str | None) -> None:
    for route in routes(web):
        if (route.method, route.path) not in OPEN:
            answer = ask(asking, route, route.at("acme"), key)
            assert answer.status_code == 401, route
            assert answer.headers["www-authenticate"] == "Bearer"


def test_what_is_foreign_answers_byte_for_byte_like_what_is_missing(web: Web, asking: TestClient) -> None:
    stranger = web.key(web.tenant("other"))
    for route in routes(web):
        if route.of_tenant:
            foreign = ask(asking, route, route.at("acme"), stranger)
            missing = ask(asking, route, route.at("nowhere"), stranger)
            assert foreign.status_code == 404, route
            assert foreign.content == missing.content, route
            assert foreign.headers == missing.headers, route


def test_a_foreign_model_answers_like_a_missing_one(web: Web, asking: TestClient) -> None:
    stranger = web.key(web.tenant("other"))
    said = {"messages": [{"role": "user", "content": "hello"}]}
    models = ("acme/helper", "nope/helper", "acme/nobody")
    answers = [
        asking.post("/v1/chat/completions", headers=bearer(stranger), json=said | {"model": model}) for model in models
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert (
        len(
            {
                answer.text.replace(model, "")
                for answer, model in zip(answers, ["acme/helper", "nope/helper", "acme/nobody"], strict=True)
            }
        )
        == 1
    )


def test_a_key_without_the_scope_is_refused(web: Web, asking: TestClient, acme: Tenant) -> None:
    for route in routes(web):
        if (route.method, route.path) in OPEN:
            continue
        others = [f"{noun}:admin" for noun in NOUNS if noun != route.scope.partition(":")[0]]
        answer = ask(asking, route, route.at("acme"), web.key(acme, *others))
        assert answer.status_code == 403, route


def test_reading_does_not_let_write(web: Web, asking: TestClient, acme: Tenant) -> None:
    reader = web.key(acme, *(f"{noun}:read" for noun in NOUNS))
    for route in routes(web):
        if (route.method, route.path) not in OPEN and not route.scope.endswith(":read"):
            assert ask(asking, route, route.at("acme"), reader).status_code == 403, route


def test_a_tenants_key_does_nothing_to_the_platform(web: Web, asking: TestClient, acme: Tenant) -> None:
    owner = web.key(acme)
    for route in routes(web):
        outside = (route.method, route.path) in OPEN | OUTSIDE_TENANTS
        if not route.of_tenant and not outside:
            answer = ask(asking, route, route.at("acme"), owner)
            assert (answer.status_code, answer.json()["code"]) == (403, "not_operator"), route


def test_a_tenant_sees_itself_alone(web: Web, asking: TestClient, acme: Tenant) -> None:
    other = web.tenant("other")
    web.agent(other, "spy")
    owner = bearer(web.key(acme))
    assert [tenant["slug"] for tenant in asking.get("/api/v1/tenants", headers=owner).json()["items"]] == ["acme"]
    assert [model["id"] for model in asking.get("/v1/models", headers=owner).json()["data"]] == ["acme/helper"]


def test_the_right_key_is_never_told_it_may_not(web: Web, asking: TestClient, acme: Tenant) -> None:
    for route in routes(web):
        if route.of_tenant:
            answer = ask(asking, route, route.at("acme"), web.key(acme, route.scope, "runs:read"))
            assert answer.status_code not in {401, 403, 500}, (route, answer.text)


def test_what_is_foreign_inside_a_tenant_is_missing_there(web: Web, asking: TestClient, acme: Tenant) -> None:
    """A run of another tenant under one's own address: the id is right, the tenant is not."""
    other = web.tenant("other")
    web.agent(other)
    theirs = asking.post(
        "/api/v1/tenants/other/runs", headers=bearer(web.key(other)), json={"agent": "helper", "input": "x"}
    ).json()["id"]
    owner = bearer(web.key(acme))
    foreign = asking.get(f"/api/v1/tenants/acme/runs/{theirs}", headers=owner)
    missing = asking.get("/api/v1/tenants/acme/runs/run_none", headers=owner)
    assert (foreign.status_code, foreign.content) == (404, missing.content)
    assert asking.post(f"/api/v1/tenants/acme/runs/{theirs}/cancel", headers=owner).content == missing.content


def test_a_bug_is_told_without_its_inner_text(web: Web, asking: TestClient, acme: Tenant) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("sk-secret-in-a-message")

    web.gateway.usage = broken  # type: ignore[method-assign]
    answer = asking.get("/api/v1/tenants/acme/usage", headers=bearer(web.key(acme)))
    assert (answer.status_code, answer.json()["code"]) == (500, "bug")
    assert "sk-secret" not in answer.text
