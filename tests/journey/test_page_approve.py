"""The page of an approval: what it shows, to whom, and what its buttons do."""

import html
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from freehold.core.approvals import Approval
from freehold.core.people import PlatformRole, Role
from freehold.core.tenants import Tenant
from freehold.store.journal import approval_table
from tests import crowd
from tests.webs import Web, bearer, client, made


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    return web.tenant("acme")


@pytest.fixture
def asked(web: Web, acme: Tenant) -> Approval:
    return question(web, acme)


@pytest.fixture
def browser(web: Web) -> Iterator[TestClient]:
    with client(web, None) as asking:
        asking.headers["Accept"] = "text/html"
        yield asking


def question(web: Web, tenant: Tenant) -> Approval:
    web.agent(tenant)
    with client(web) as api:
        run = api.post(f"/api/v1/tenants/{tenant.slug}/agents/helper/messages", json={"text": "do"}).json()["run"]["id"]
    return web.ask(tenant, run)


def changed(web: Web, approval: Approval, **row: Any) -> None:
    """Write over the row, as only a worker that was taken over would."""
    with web.state.store.write() as platform:
        platform.connection.execute(update(approval_table).where(approval_table.c.id == approval.id).values(**row))


def decide(browser: TestClient, approval: Approval, who: dict[str, str], **form: str) -> httpx2.Response:
    sent = {"decision": "approve", "hash": approval.hash} | form
    return browser.post(f"/approve/{approval.id}", data=sent, headers=who, follow_redirects=False)


def test_a_member_sees_all_of_it_and_approves_once(
    web: Web, acme: Tenant, asked: Approval, browser: TestClient
) -> None:
    who = crowd.signed_in(web, crowd.member(web, acme, Role.MEMBER, crowd.person(web, name="Ada Berg")))
    shown = browser.get(f"/approve/{asked.id}", headers=who).text
    for told in ("delete_file", "sandbox", "a.txt", asked.run, asked.hash[:12], "acme"):
        assert told in shown, told
    done = decide(browser, asked, who)
    assert (done.status_code, done.headers["location"]) == (303, f"/approve/{asked.id}")
    assert web.gateway.decided == {asked.key: True}
    assert "You approved this on 1 January 2026, 12:00 UTC." in browser.get(f"/approve/{asked.id}", headers=who).text
    other = crowd.signed_in(web, crowd.member(web, acme, Role.ADMIN))
    again = decide(browser, asked, other, decision="deny")
    assert again.status_code == 409
    assert "This was decided already." in again.text
    assert "Ada Berg approved this" in again.text
    assert web.gateway.decided == {asked.key: True}


def test_a_viewer_looks_and_decides_nothing(web: Web, acme: Tenant, asked: Approval, browser: TestClient) -> None:
    who = crowd.signed_in(web, crowd.member(web, acme, Role.VIEWER))
    shown = browser.get(f"/approve/{asked.id}", headers=who)
    assert (shown.status_code, "<form" in shown.text) == (200, False)
    assert decide(browser, asked, who).status_code == 403
    assert web.gateway.decided == {}


def test_a_neighbour_and_a_stranger_learn_that_there_is_nothing(web: Web, asked: Approval, browser: TestClient) -> None:
    for who in (crowd.member(web, web.tenant("other"), Role.OWNER), crowd.person(web)):
        headers = crowd.signed_in(web, who)
        foreign, missing = (browser.get(f"/approve/{name}", headers=headers) for name in (asked.id, "apr_none"))
        assert (foreign.status_code, missing.status_code) == (404, 404)
        assert _without_id(foreign) == _without_id(missing)
        assert decide(browser, asked, headers).status_code == 404
    assert web.gateway.decided == {}


def test_an_operator_decides_in_any_tenant(web: Web, asked: Approval, browser: TestClient) -> None:
    who = crowd.signed_in(web, crowd.person(web, platform_role=PlatformRole.OPERATOR))
    assert decide(browser, asked, who, decision="deny").status_code == 303
    assert web.gateway.decided == {asked.key: False}


def test_a_key_is_nobody_on_a_page(web: Web, acme: Tenant, asked: Approval, browser: TestClient) -> None:
    headers = bearer(web.key(acme, "approvals:write"))
    told = browser.post(
        f"/approve/{asked.id}",
        data={"decision": "approve", "hash": asked.hash},
        headers=headers | {"Sec-Fetch-Site": "same-origin"},
        follow_redirects=False,
    )
    assert (told.status_code, told.headers["location"]) == (303, f"/sign-in?next=/approve/{asked.id}")
    assert web.gateway.decided == {}


def test_a_hash_that_was_not_shown_decides_nothing(
    web: Web, acme: Tenant, asked: Approval, browser: TestClient
) -> None:
    who = crowd.signed_in(web, crowd.member(web, acme, Role.OWNER))
    told = decide(browser, asked, who, hash="0" * 64)
    assert told.status_code == 409
    assert "Nothing was decided; look again." in told.text
    assert web.gateway.decided == {}


@pytest.mark.parametrize("row", [{"arguments": {"path": "b.txt"}}, {"operation": "list_files"}, {"run": "run_other"}])
def test_a_row_that_shows_something_else_than_its_hash_cannot_be_decided(
    web: Web, acme: Tenant, asked: Approval, browser: TestClient, row: dict[str, Any]
) -> None:
    changed(web, asked, **row)
    who = crowd.signed_in(web, crowd.member(web, acme, Role.OWNER))
    shown = browser.get(f"/approve/{asked.id}", headers=who)
    assert (shown.status_code, "<form" in shown.text) == (409, False)
    assert "somebody changed it" in shown.text
    assert decide(browser, asked, who).status_code == 409
    with client(web) as api:
        told = api.post(f"/api/v1/tenants/acme/approvals/{asked.id}/approve", json={"hash": asked.hash})
    assert (told.status_code, told.json()["code"]) == (409, "altered")
    assert web.gateway.decided == {}


def test_what_turns_text_around_is_shown_as_what_it_is(
    web: Web, acme: Tenant, asked: Approval, browser: TestClient
) -> None:
    changed(web, asked, arguments={"path": "a\u202etxt.exe", "note": "<script>alert(1)</script>"})
    who = crowd.signed_in(web, crowd.member(web, acme, Role.OWNER))
    shown = browser.get(f"/approve/{asked.id}", headers=who).text
    assert '<span class="odd">U+202E</span>' in shown
    assert "\u202e" not in shown
    assert html.escape("<script>alert(1)</script>") in shown
    assert "<script" not in shown


def test_an_expired_question_says_so(web: Web, acme: Tenant, asked: Approval, browser: TestClient) -> None:
    changed(web, asked, state="expired", decided_by="clock", decided_at=web.clock.now())
    who = crowd.signed_in(web, crowd.member(web, acme, Role.OWNER, crowd.person(web, language="de")))
    shown = browser.get(f"/approve/{asked.id}", headers=who).text
    assert "niemand entschieden" in shown
    assert "<form" not in shown


def test_a_suspended_member_sees_nothing(web: Web, acme: Tenant, asked: Approval, browser: TestClient) -> None:
    who = crowd.person(web)
    place = crowd.member(web, acme, Role.OWNER, who)
    headers = crowd.signed_in(web, place)
    with web.state.store.tenant(acme.id).write() as scope:
        found = scope.members.of_person(who.id)
        assert found is not None
        scope.members.save(replace(found, seal="0" * 64))
    assert browser.get(f"/approve/{asked.id}", headers=headers).status_code == 404


def _without_id(told: httpx2.Response) -> str:
    return told.text.replace(told.headers["x-request-id"], "")
