"""A tenant's life over the API: a draft, deployed, suspended, resumed, deleted, restored."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.audit.database import table as audit_table
from freehold.core.effects import Verdict
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


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def furnished(web: Web) -> Tenant:
    tenant = web.tenant("acme")
    web.agent(tenant, shell=Verdict.ALLOW)
    return tenant


def started(asking: TestClient) -> str:
    return str(asking.post(f"{ACME}/runs", json=RUN).json()["id"])


def state(web: Web, tenant: Tenant, run: str) -> RunState:
    with web.state.store.tenant(tenant.id).read() as scope:
        return scope.runs.get(run).state


def acts(web: Web, tenant: str) -> list[str]:
    with web.state.store.read() as platform:
        query = audit_table.select().where(audit_table.c.tenant == tenant).order_by(audit_table.c.position)
        return [row.action for row in platform.connection.execute(query) if row.action.startswith("tenant.")]


class TestADraft:
    def test_it_can_be_set_up_and_nothing_runs_in_it(self, web: Web) -> None:
        with client(web) as asking:
            created = asking.post(
                "/api/v1/tenants", json={"slug": "acme", "language": "de-AT", "time_zone": "Asia/Tokyo"}
            )
            assert created.status_code == 201
            shown = created.json()
            assert (shown["state"], shown["language"], shown["time_zone"]) == ("draft", "de-AT", "Asia/Tokyo")
            agent = {"name": "helper", "model": "rehearsal"}
            assert asking.post(f"{ACME}/agents", json=agent).status_code == 201
            assert refused(asking.post(f"{ACME}/runs", json=RUN)) == (409, "tenant_not_active")
            said = asking.post(f"{ACME}/agents/helper/messages", json={"text": "hello"})
            assert refused(said) == (409, "tenant_not_active")
            assert "deploy" in said.json()["remedy"]

    def test_it_is_deployed_once_and_the_same_request_is_answered_the_same(self, web: Web) -> None:
        web.tenant("acme", draft=True)
        once = {"Idempotency-Key": "first"}
        with client(web) as asking:
            deployed = asking.post(f"{ACME}/deploy", headers=once)
            again = asking.post(f"{ACME}/deploy", headers=once)
            assert deployed.json()["state"] == "active"
            assert again.json() == deployed.json()
            assert refused(asking.post(f"{ACME}/deploy")) == (409, "bad_transition")

    def test_it_can_be_created_ready(self, web: Web) -> None:
        with client(web) as asking:
            assert asking.post("/api/v1/tenants", json={"slug": "acme", "draft": False}).json()["state"] == "active"
        assert acts(web, "") == ["tenant.create", "tenant.deploy"]

    def test_its_channels_are_no_channels_yet(self, web: Web) -> None:
        tenant = web.tenant("acme", draft=True)
        web.agent(tenant)
        with client(web) as asking:
            missing = asking.post("/hooks/chn_none", json={"text": "hello"})
            asking.post(
                f"{ACME}/secrets", json={"name": "hook", "value": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
            )
            body = {"kind": "webhook", "name": "hook", "agent": "helper", "secret": "hook"}
            body |= {"reply_url": "https://example.com/replies"}
            made = asking.post(f"{ACME}/channels", json=body)
            assert made.status_code == 201, made.text
            told = asking.post(made.json()["path"], json={"text": "hello"})
            assert (told.status_code, told.json()) == (404, missing.json())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"time_zone": "Mars/Olympus"}, "bad_time_zone"),
        ({"time_zone": "../etc/passwd"}, "bad_time_zone"),
        ({"language": "not a tag"}, "bad_language"),
        ({"name": "x" * 201}, "bad_name"),
    ],
)
def test_what_a_tenant_is_told_to_be_must_be_something(web: Web, changes: dict[str, str], code: str) -> None:
    web.tenant("acme")
    with client(web) as asking:
        assert refused(asking.patch(ACME, json=changes)) == (422, code)
        assert refused(asking.post("/api/v1/tenants", json={"slug": "other"} | changes)) == (422, code)


def test_name_zone_and_language_can_be_changed(web: Web) -> None:
    web.tenant("acme")
    changes = {"name": "Acme & Co", "time_zone": "Europe/Berlin", "language": "de"}
    with client(web) as asking:
        changed = asking.patch(ACME, json=changes).json()
        assert {field: changed[field] for field in changes} == changes
        assert asking.get(ACME).json() == changed
        assert asking.patch(ACME, json={"name": " "}).json()["name"] == "acme"


class TestSuspended:
    def test_its_runs_stand_still_and_go_on_where_they_were(self, web: Web) -> None:
        tenant = furnished(web)
        with client(web) as asking:
            queued, running, waiting = started(asking), started(asking), started(asking)
            web.move(tenant, running, RunEvent.START)
            web.ask(tenant, waiting)
            assert asking.post(f"{ACME}/suspend").json()["state"] == "suspended"
            assert {state(web, tenant, run) for run in (queued, running, waiting)} == {RunState.PAUSED}
            assert {"cancel": running} in web.nudge.sent
            assert asking.post(f"{ACME}/resume").json()["state"] == "active"
            assert [state(web, tenant, run) for run in (queued, running, waiting)] == ["queued", "queued", "waiting"]
            with web.state.store.tenant(tenant.id).read() as scope:
                assert scope.runs.get(running).segment == 1
                assert scope.runs.get(waiting).waits_for is WaitsFor.PERSON

    def test_an_approval_that_comes_meanwhile_is_heard_when_it_is_resumed(self, web: Web) -> None:
        tenant = furnished(web)
        with client(web) as asking:
            run = started(asking)
            approval = web.ask(tenant, run)
            asking.post(f"{ACME}/suspend")
            decided = asking.post(f"{ACME}/approvals/{approval.id}/approve", json={"hash": approval.hash})
            assert decided.status_code == 200, decided.text
            assert state(web, tenant, run) is RunState.PAUSED
            asking.post(f"{ACME}/resume")
        with web.state.store.tenant(tenant.id).read() as scope:
            found = scope.runs.get(run)
            assert (found.state, found.segment) == (RunState.QUEUED, 2)

    def test_no_time_passes_towards_a_deadline(self, web: Web) -> None:
        tenant = furnished(web)
        with client(web) as asking:
            run = started(asking)
            asking.post(f"{ACME}/suspend")
            with web.state.store.tenant(tenant.id).read() as scope:
                before = scope.runs.get(run).deadline
            web.clock.wind(86_400 * 400)
            with web.state.store.read() as platform:
                assert platform.overdue_runs(web.clock.now()) == []
            asking.post(f"{ACME}/resume")
            with web.state.store.tenant(tenant.id).read() as scope:
                after = scope.runs.get(run).deadline
        assert before is not None
        assert after is not None
        assert (after - before).days == 400

    def test_its_people_and_keys_read_on_and_change_nothing(self, web: Web) -> None:
        tenant = furnished(web)
        key = bearer(web.key(tenant, "agents:admin", "runs:admin", "messages:write"))
        owner = signed_in(web, member(web, tenant, Role.OWNER))
        with client(web) as operating:
            operating.post(f"{ACME}/suspend")
        with client(web, None) as asking:
            for who in (key, owner):
                assert asking.get(f"{ACME}/agents", headers=who).status_code == 200
                assert refused(asking.post(f"{ACME}/runs", headers=who, json=RUN)) == (403, "tenant_suspended")
                agent = {"name": "other", "model": "rehearsal"}
                assert refused(asking.post(f"{ACME}/agents", headers=who, json=agent)) == (403, "tenant_suspended")
            assert refused(asking.delete(f"{ACME}?confirm=acme", headers=owner)) == (403, "tenant_suspended")
        with client(web) as operating:
            assert operating.post(f"{ACME}/agents", json={"name": "other", "model": "rehearsal"}).status_code == 201
            assert refused(operating.post(f"{ACME}/runs", json=RUN)) == (409, "tenant_not_active")

    def test_its_answers_leave_when_it_is_resumed(self, web: Web) -> None:
        tenant = furnished(web)
        with web.state.store.read() as platform:
            assert platform.due_outgoing(web.clock.now()) == []
        with client(web) as asking:
            asking.post(f"{ACME}/suspend")
            assert refused(asking.post(f"{ACME}/suspend")) == (409, "bad_transition")
        assert acts(web, tenant.id)[-1] == "tenant.suspend"


class TestDeleted:
    def test_its_slug_must_be_typed(self, web: Web) -> None:
        web.tenant("acme")
        with client(web) as asking:
            for typed in ("", "?confirm=Acme", "?confirm=ten_1"):
                assert refused(asking.delete(ACME + typed)) == (422, "not_confirmed")
            assert asking.get(ACME).json()["state"] == "active"

    def test_its_runs_are_over_and_it_is_missing_for_everybody_but_operators(self, web: Web) -> None:
        tenant = furnished(web)
        key = bearer(web.key(tenant, "runs:admin", "tenants:read"))
        other = web.tenant("other")
        owner = signed_in(web, member(web, other, Role.OWNER, member(web, tenant, Role.OWNER)))
        with client(web) as asking:
            runs = [started(asking) for _ in range(3)]
            web.move(tenant, runs[1], RunEvent.START)
            web.ask(tenant, runs[2])
            gone = asking.delete(f"{ACME}?confirm=acme", headers=owner)
            assert gone.status_code == 200, gone.text
            assert gone.json()["purge_at"] is not None
            assert {state(web, tenant, run) for run in runs} == {RunState.CANCELLED}
            assert asking.get(ACME).json()["state"] == "deleted"
            assert refused(asking.post(f"{ACME}/agents", json={"name": "n", "model": "rehearsal"}))[0] == 409
        with client(web, None) as asking:
            missing = asking.get("/api/v1/tenants/none", headers=owner)
            assert asking.get(ACME, headers=owner).content == missing.content
            assert asking.get("/api/v1/tenants", headers=owner).json()["items"] == [
                asking.get("/api/v1/tenants/other", headers=owner).json()
            ]
            assert asking.get(ACME, headers=key).status_code == 401

    def test_it_can_be_restored_and_is_suspended_then(self, web: Web) -> None:
        tenant = furnished(web)
        owner = signed_in(web, member(web, tenant, Role.OWNER))
        with client(web) as asking:
            asking.delete(f"{ACME}?confirm=acme")
            restored = asking.post(f"{ACME}/restore").json()
            assert (restored["state"], restored["purge_at"]) == ("suspended", None)
            assert asking.get(ACME, headers=owner).status_code == 200
            asking.post(f"{ACME}/resume")
            assert asking.post(f"{ACME}/runs", json=RUN).status_code == 202


@pytest.mark.parametrize(
    ("act", "before"),
    [("suspend", "draft"), ("resume", "active"), ("resume", "draft"), ("restore", "active"), ("deploy", "active")],
)
def test_an_arrow_that_is_not_there_is_refused(web: Web, act: str, before: str) -> None:
    web.tenant("acme", draft=before == "draft")
    with client(web) as asking:
        told: Any = asking.post(f"{ACME}/{act}")
        assert refused(told) == (409, "bad_transition")
        assert asking.get(ACME).json()["state"] == before
