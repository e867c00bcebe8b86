"""
Who may ask for what: every route of the description, asked by everybody, for what is theirs, foreign and missing.

What should happen is worked out here from a route's scope and the table of roles alone. Whoever is let in gets as far
as the route's own function, and not into it, so that the walk changes nothing. A route that is added later is walked
too. Sandboxes are not in it: they have no key, no network and no socket of web's.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import Response

from freehold.core.access import AGENT_NOUNS, LEVELS, NOUNS, PLATFORM_NOUNS, ROLES, ROUTES
from freehold.core.people import MemberState, PlatformRole, Role
from freehold.core.tenants import Caller, Tenant, TenantState
from freehold.tenants.keys import mint
from freehold.web.building import build
from tests import crowd
from tests.webs import ADDRESS, OPERATOR, Web, bearer, made

METHODS = ("get", "post", "put", "patch", "delete")
REACHED = 299
"""Told by a route's function in its place: the caller was let in."""
INVALID = 422
"""The caller was let in, and their body read: it is looked at last."""
PLACES = {"own": "acme", "foreign": "other", "suspended": "paused", "missing": "nowhere"}
"""The tenants that are asked for, by what they are to most who ask."""
PARTS = 4
"""How many tests share the walk, so that they are taken side by side."""
LIKE_OTHERS = {"nonsense", "blank key", "foreign key"}
"""Who is told the same as a key that is not ours, and as a foreign owner: they walk in the long tests."""


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    scope: str
    security: list[Any]

    @property
    def of_tenant(self) -> bool:
        return "{tenant}" in self.path

    @property
    def changes(self) -> bool:
        """Whether it changes something within a tenant, other than its state."""
        whole, _, last = self.path.rpartition("/")
        moves = whole.endswith("{tenant}") and last in {"deploy", "suspend", "resume", "restore", "purge"}
        return self.method != "get" and not moves

    def at(self, place: str) -> str:
        names = {part[1:-1] for part in self.path.split("/") if part.startswith("{")}
        return self.path.format(**dict.fromkeys(names, "none") | {"tenant": PLACES[place]})


@dataclass(frozen=True)
class Asker:
    """Somebody who asks, and what they should be able to do, by the slug of the tenant."""

    headers: dict[str, str] = field(default_factory=dict)
    platform: frozenset[str] = frozenset()
    within: Mapping[str, frozenset[str]] = field(default_factory=dict)
    is_person: bool = False
    known: bool = True


def covered(held: frozenset[str], scope: str) -> bool:
    noun, _, level = scope.partition(":")
    return "*" in held or any(f"{noun}:{higher}" in held for higher in LEVELS[LEVELS.index(level) :])


def allowed(asker: Asker, scope: str, tenant: str) -> bool:
    noun = scope.partition(":")[0]
    if noun == "self":
        return asker.is_person
    local = frozenset() if noun in PLATFORM_NOUNS else asker.within.get(tenant, frozenset())
    return covered(asker.platform, scope) or covered(local, scope)


def expected(asker: Asker, route: Route, place: str) -> int:
    """Return the status that asker should get: REACHED for whoever is let in."""
    tenant = PLACES[place]
    everywhere = any(scope.partition(":")[0] not in PLATFORM_NOUNS for scope in asker.platform)
    sees = place != "missing" and (everywhere or tenant in asker.within)
    if route.scope == "none":
        return REACHED
    if not asker.known:
        return 401
    if route.of_tenant:
        stopped = place == "suspended" and route.changes and not covered(asker.platform, "platform:write")
        return 404 if not sees else REACHED if allowed(asker, route.scope, tenant) and not stopped else 403
    return REACHED if any(allowed(asker, route.scope, within) for within in ("", *asker.within)) else 403


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    return made(tmp_path_factory.mktemp("matrix"))


@pytest.fixture(scope="module")
def acme(web: Web) -> Tenant:
    tenant = web.tenant("acme")
    web.agent(tenant)
    return tenant


@pytest.fixture(scope="module")
def other(web: Web) -> Tenant:
    tenant = web.tenant("other")
    web.agent(tenant)
    return tenant


@pytest.fixture(scope="module")
def paused(web: Web) -> Tenant:
    tenant = web.tenant("paused")
    with web.state.store.write() as platform:
        platform.tenants.save(replace(tenant, state=TenantState.SUSPENDED))
    return tenant


@pytest.fixture(scope="module")
def app(web: Web) -> FastAPI:
    return build(web.state)


@pytest.fixture(scope="module")
def routes(app: FastAPI) -> list[Route]:
    described = app.openapi()["paths"].items()
    found = [(method, path, said[method]) for path, said in described for method in METHODS if method in said]
    return [Route(method, path, of.get("x-scope", ""), of.get("security", [])) for method, path, of in found]


@pytest.fixture
async def asking(app: FastAPI, acme: Tenant, other: Tenant, paused: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the application, with all tenants there that are asked for."""
    transport = httpx.ASGITransport(app, client=("203.0.113.7", 40_000))  # who is on this machine may read metrics
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{ADDRESS}") as client:
        yield client


@pytest.fixture
def stopping_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every route's function say that it was reached, and do nothing else."""

    async def reached(**_: Any) -> Response:
        return Response(status_code=REACHED)

    monkeypatch.setattr("fastapi.routing.run_endpoint_function", reached)


@pytest.fixture(scope="module")
def askers(web: Web, acme: Tenant, other: Tenant, paused: Tenant) -> dict[str, Asker]:
    found = nobodies() | members(web, acme) | of_the_platform(web)
    found["foreign owner"] = person(web, other, Role.OWNER)
    found["owner of a suspended tenant"] = person(web, paused, Role.OWNER)
    found["viewer of a suspended tenant"] = person(web, paused, Role.VIEWER)
    found["foreign key"] = Asker(bearer(web.key(other)), within={"other": frozenset({"*"})})
    found["tenant's key"] = Asker(bearer(web.key(acme)), within={"acme": frozenset({"*"})})
    return found


def nobodies() -> dict[str, Asker]:
    wrong = {"nonsense": "nonsense", "key that is not ours": mint("key_1"), "blank key": ""}
    found = {name: Asker(bearer(key), known=False) for name, key in wrong.items()}
    found["stale session"] = Asker({"Cookie": "__Host-freehold=gone", "Origin": f"http://{ADDRESS}"}, known=False)
    return found | {"anonymous": Asker(known=False)}


def members(web: Web, acme: Tenant) -> dict[str, Asker]:
    found = {role.value: person(web, acme, role) for role in Role}
    suspended = crowd.member(web, acme, Role.OWNER, state=MemberState.SUSPENDED)
    found["suspended member"] = Asker(crowd.signed_in(web, suspended), is_person=True)
    found["nobody's member"] = Asker(crowd.signed_in(web, crowd.person(web)), is_person=True)
    return found


def person(web: Web, tenant: Tenant, role: Role) -> Asker:
    headers = crowd.signed_in(web, crowd.member(web, tenant, role))
    return Asker(headers, within={tenant.slug: ROLES[role]}, is_person=True)


def of_the_platform(web: Web) -> dict[str, Asker]:
    found = {"operator's key file": Asker(bearer(OPERATOR), platform=frozenset({"*"}))}
    found["platform's key"] = Asker(bearer(web.key(None, "runs:read")), platform=frozenset({"runs:read"}))
    for role in PlatformRole:
        headers = crowd.signed_in(web, crowd.person(web, platform_role=role))
        found[role.value] = Asker(headers, platform=ROLES[role], is_person=True)
    return found


async def ask(asking: httpx.AsyncClient, route: Route, path: str, headers: dict[str, str]) -> httpx.Response:
    asking.cookies.clear()
    body: dict[str, Any] | None = {} if route.method in {"post", "put", "patch"} else None
    return await asking.request(route.method, path, headers=headers, json=body)


def verdict(answer: httpx.Response) -> int:
    return REACHED if answer.status_code == INVALID else answer.status_code


async def walk(asking: httpx.AsyncClient, routes: list[Route], who: str, asker: Asker) -> list[str]:
    """Return where the application and the table of roles are of two minds."""
    wrong = []
    for route, place in product(routes, PLACES):
        if place == "own" or route.of_tenant:
            answer = await ask(asking, route, route.at(place), asker.headers)
            if verdict(answer) != expected(asker, route, place):
                told = f"{answer.status_code}, not {expected(asker, route, place)}: {answer.text[:80]}"
                wrong.append(f"{who}: {route.method} {route.at(place)} {route.scope} {told}")
    return wrong


def test_every_route_says_which_scope_it_needs(routes: list[Route]) -> None:
    known = {f"{noun}:{level}" for noun in NOUNS for level in LEVELS} | {"self:read", "self:write"}
    for route in routes:
        if route.scope == "none":
            assert route.security == [], route
        else:
            assert route.scope in known, route
            names = [*route.security[0], *(route.security[1] if len(route.security) > 1 else {})]
            assert names == (["session"] if route.scope.startswith("self:") else ["key", "session"]), route


def test_every_route_is_in_the_table(routes: list[Route]) -> None:
    served = {(route.method.upper(), route.path): route.scope for route in routes}
    assert served.items() <= ROUTES.items()


def test_only_few_things_are_for_everybody(routes: list[Route]) -> None:
    open_to_all = {route.path for route in routes if route.scope == "none"}
    ways_in = {path for path in open_to_all if path.startswith(("/api/v1/login", "/api/v1/claim", "/hooks/"))}
    assert open_to_all - ways_in <= {"/healthz", "/api/v1/audit/key"}


@pytest.mark.usefixtures("stopping_short")
@pytest.mark.parametrize("part", range(PARTS))
async def test_everybody_is_let_in_where_the_table_says_and_nowhere_else(
    asking: httpx.AsyncClient, routes: list[Route], askers: dict[str, Asker], part: int
) -> None:
    walking = sorted(askers.keys() - LIKE_OTHERS)[part::PARTS]
    assert [line for who in walking for line in await walk(asking, routes, who, askers[who])] == []


@pytest.mark.long
@pytest.mark.usefixtures("stopping_short")
async def test_whoever_is_like_others_is_let_in_where_they_are(
    asking: httpx.AsyncClient, routes: list[Route], askers: dict[str, Asker]
) -> None:
    assert [line for who in LIKE_OTHERS for line in await walk(asking, routes, who, askers[who])] == []


@pytest.mark.long
@pytest.mark.usefixtures("stopping_short")
async def test_a_key_opens_what_its_scope_covers_and_nothing_else(
    asking: httpx.AsyncClient, routes: list[Route], web: Web, acme: Tenant
) -> None:
    wrong = []
    for noun, level in product(NOUNS, LEVELS):
        held = frozenset({f"{noun}:{level}"})
        askers = [Asker(bearer(web.key(None, *held)), platform=held)]
        if noun not in PLATFORM_NOUNS:  # those no tenant's key can have
            askers.append(Asker(bearer(web.key(acme, *held)), within={"acme": held}))
        near = [route for route in routes if route.scope.partition(":")[0] == noun or level == "admin"]
        for asker in askers:
            wrong += await walk(asking, near, f"key with {noun}:{level}", asker)
    assert wrong == []


@pytest.mark.usefixtures("stopping_short")
async def test_a_key_for_one_agent_opens_what_is_about_agents_alone(
    asking: httpx.AsyncClient, routes: list[Route], web: Web, acme: Tenant
) -> None:
    agent = web.agent(acme, "bound")
    scopes = {f"{noun}:{level}" for noun, level in product(AGENT_NOUNS, LEVELS)}
    key = web.key(acme, *scopes, agent=agent.id)
    assert await walk(asking, routes, "agent's key", Asker(bearer(key), within={"acme": frozenset(scopes)})) == []


@pytest.mark.usefixtures("stopping_short")
@pytest.mark.parametrize("door", ["may", "may_somewhere", "sees"])
async def test_the_walk_notices_a_door_that_stands_open(
    monkeypatch: pytest.MonkeyPatch, asking: httpx.AsyncClient, routes: list[Route], web: Web, acme: Tenant, door: str
) -> None:
    monkeypatch.setattr(Caller, door, lambda *_: True)
    asker = Asker(bearer(web.key(acme, "usage:read")), within={"acme": frozenset({"usage:read"})})
    assert await walk(asking, routes, door, asker) != []
