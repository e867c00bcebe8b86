"""Kill switches over the API: of one tenant, and of the whole platform."""

from pathlib import Path

import pytest

from freehold.core.people import Role
from freehold.core.runs import RunEvent, RunState, WaitsFor
from freehold.core.tenants import Tenant
from tests.crowd import member, signed_in
from tests.webs import Web, bearer, client, made

ACME = "/api/v1/tenants/acme"
RUN = {"agent": "helper", "input": "hello"}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


def furnished(web: Web, slug: str) -> Tenant:
    tenant = web.tenant(slug)
    web.agent(tenant)
    return tenant


def states(web: Web, tenant: Tenant) -> list[RunState]:
    with web.state.store.tenant(tenant.id).read() as scope:
        return [run.state for run in scope.runs.page()]


@pytest.mark.parametrize(("place", "whose"), [(ACME, "acme"), ("/api/v1", None)])
def test_effects_are_paused_and_go_on(web: Web, place: str, whose: str | None) -> None:
    tenant = furnished(web, "acme")
    with client(web) as asking:
        shown = asking.post(f"{place}/switches/pause-effects").json()
        assert shown["effects"] == {"paused": True, "since": "2026-01-01T12:00:00.000Z", "by": "operator"}
        assert web.gateway.paused == {(tenant.id if whose else None): "operator"}
        assert asking.get(f"{place}/switches").json() == shown
        assert not asking.post(f"{place}/switches/resume-effects").json()["effects"]["paused"]


def test_runs_that_waited_for_effects_go_on_at_once(web: Web) -> None:
    tenant = furnished(web, "acme")
    with client(web) as asking:
        run = asking.post(f"{ACME}/runs", json=RUN).json()["id"]
        web.move(tenant, run, RunEvent.START)
        web.move(tenant, run, RunEvent.PARK, waits_for=WaitsFor.OUTAGE)
        asking.post(f"{ACME}/switches/resume-effects")
        assert states(web, tenant) == [RunState.QUEUED]


def test_all_runs_of_a_tenant_are_cancelled_and_of_no_other(web: Web) -> None:
    acme, other = furnished(web, "acme"), furnished(web, "other")
    with client(web) as asking:
        runs = [asking.post(f"{ACME}/runs", json=RUN).json()["id"] for _ in range(60)]
        web.move(acme, runs[0], RunEvent.START)
        web.ask(acme, runs[1])
        asking.post("/api/v1/tenants/other/runs", json=RUN)
        assert asking.post(f"{ACME}/switches/cancel-runs").json() == {"cancelled": 60}
        assert set(states(web, acme)) == {RunState.CANCELLED}
        assert states(web, other) == [RunState.QUEUED]
        assert {"cancel": runs[0]} in web.nudge.sent
        assert asking.post("/api/v1/switches/cancel-runs").json() == {"cancelled": 1}
        assert states(web, other) == [RunState.CANCELLED]


def test_a_tenants_people_and_keys_are_shut_out(web: Web) -> None:
    acme, other = web.tenant("acme"), web.tenant("other")
    ours, theirs = bearer(web.key(acme, "agents:read")), bearer(web.key(other, "agents:read"))
    owner, stranger = signed_in(web, member(web, acme, Role.OWNER)), signed_in(web, member(web, other, Role.OWNER))
    with client(web, None) as asking:
        answer = asking.post(f"{ACME}/switches/revoke-access", headers=owner)
        assert answer.json() == {"sessions": 1, "keys": 1}
        for who in (ours, owner):
            assert asking.get(f"{ACME}/agents", headers=who).status_code == 401
        for who in (theirs, stranger):
            assert asking.get("/api/v1/tenants/other/agents", headers=who).status_code == 200


def test_whoever_asks_can_keep_what_they_ask_with(web: Web) -> None:
    acme = web.tenant("acme")
    owner = signed_in(web, member(web, acme, Role.OWNER))
    member_of_it = signed_in(web, member(web, acme, Role.MEMBER))
    with client(web, None) as asking:
        answer = asking.post(f"{ACME}/switches/revoke-access", headers=owner, json={"keep_mine": True})
        assert answer.json() == {"sessions": 1, "keys": 0}
        assert asking.get(f"{ACME}/agents", headers=owner).status_code == 200
        assert asking.get(f"{ACME}/agents", headers=member_of_it).status_code == 401


def test_everybody_is_shut_out_but_the_operators_own_key(web: Web) -> None:
    acme = web.tenant("acme")
    shown = [
        bearer(web.key(acme, "agents:read")),
        bearer(web.key(None, "tenants:read", "agents:read")),
        signed_in(web, member(web, acme, Role.OWNER)),
    ]
    with client(web) as asking:
        assert asking.post("/api/v1/switches/revoke-access").json() == {"sessions": 1, "keys": 2}
        assert asking.get(f"{ACME}/agents").status_code == 200
    with client(web, None) as asking:
        for who in shown:
            assert asking.get(f"{ACME}/agents", headers=who).status_code == 401


def test_an_owner_may_throw_the_tenants_switches_and_an_admin_only_look(web: Web) -> None:
    acme = web.tenant("acme")
    owner, admin = (signed_in(web, member(web, acme, role)) for role in (Role.OWNER, Role.ADMIN))
    with client(web, None) as asking:
        assert asking.get(f"{ACME}/switches", headers=admin).status_code == 200
        assert asking.post(f"{ACME}/switches/pause-effects", headers=admin).status_code == 403
        assert asking.post(f"{ACME}/switches/pause-effects", headers=owner).status_code == 200
        assert asking.post("/api/v1/switches/pause-effects", headers=owner).status_code == 403


def test_each_throw_is_in_the_record(web: Web) -> None:
    furnished(web, "acme")
    with client(web) as asking:
        asking.post(f"{ACME}/switches/cancel-runs")
        asking.post(f"{ACME}/switches/revoke-access")
        links = asking.get(f"{ACME}/audit").json()["items"]
    assert [link["action"] for link in links][-2:] == ["runs.cancel", "access.revoke"]
