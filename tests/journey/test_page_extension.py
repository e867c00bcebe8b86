"""Leave to spend more, as the people see it who are asked: what the page says, and who may say yes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.core.approvals import Approval
from freehold.core.people import Role
from freehold.core.tenants import Tenant
from tests import crowd
from tests.webs import Web, bearer, client, made

MORE: dict[str, Any] = {"scope": "tenant", "subject": "", "period": "month", "window": "2026-01", "usd": 7}
WHY = "The budget of the tenant is spent: $35.00 of $35.00 this month."


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    return web.tenant("acme")


@pytest.fixture
def asked(web: Web, acme: Tenant) -> Approval:
    web.agent(acme)
    with client(web) as api:
        run = api.post("/api/v1/tenants/acme/agents/helper/messages", json={"text": "do"}).json()["run"]["id"]
    return web.ask(acme, run, WHY, connection="budget", operation="extend", arguments=MORE)


@pytest.fixture
def browser(web: Web) -> Iterator[TestClient]:
    with client(web, None) as asking:
        asking.headers["Accept"] = "text/html"
        yield asking


def decide(browser: TestClient, approval: Approval, who: dict[str, str], decision: str) -> int:
    sent = {"decision": decision, "hash": approval.hash}
    return browser.post(f"/approve/{approval.id}", data=sent, headers=who, follow_redirects=False).status_code


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Continue for $7?", "with $7 more", "until the month is over", WHY]),
        ("de", ["Für 7\u00a0$ weitermachen?", "mit 7\u00a0$ mehr", "bis zum Ende des Monats", WHY]),
    ],
)
def test_the_page_says_what_it_is_about_in_the_language_of_whoever_reads_it(
    web: Web, acme: Tenant, asked: Approval, browser: TestClient, language: str, words: list[str]
) -> None:
    owner = crowd.member(web, acme, Role.OWNER, crowd.person(web, language=language))
    shown = browser.get(f"/approve/{asked.id}", headers=crowd.signed_in(web, owner)).text
    for word in words:
        assert word in shown, word


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN])
def test_who_may_set_budgets_may_let_it_go_on(
    web: Web, acme: Tenant, asked: Approval, browser: TestClient, role: Role
) -> None:
    who = crowd.signed_in(web, crowd.member(web, acme, role))
    assert decide(browser, asked, who, "approve") == 303
    assert web.gateway.decided == {asked.key: True}


def test_a_member_is_told_who_can_and_may_say_no(web: Web, acme: Tenant, asked: Approval, browser: TestClient) -> None:
    who = crowd.signed_in(web, crowd.member(web, acme, Role.MEMBER))
    shown = browser.get(f"/approve/{asked.id}", headers=who).text
    assert "Only an owner or admin" in shown
    assert 'value="approve"' not in shown
    assert decide(browser, asked, who, "approve") == 403
    assert web.gateway.decided == {}
    assert decide(browser, asked, who, "deny") == 303
    assert web.gateway.decided == {asked.key: False}


def test_a_key_that_may_decide_but_set_no_budgets_is_refused_with_a_way_out(
    web: Web, acme: Tenant, asked: Approval
) -> None:
    path = f"/api/v1/tenants/acme/approvals/{asked.id}/approve"
    with client(web) as api:
        refused = api.post(path, json={"hash": asked.hash}, headers=bearer(web.key(acme, "approvals:write")))
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
        assert "budgets:write" in refused.json()["detail"]
        assert refused.json()["remedy"]
        assert web.gateway.decided == {}
        both = web.key(acme, "approvals:write", "budgets:write")
        assert api.post(path, json={"hash": asked.hash}, headers=bearer(both)).status_code == 200
    assert web.gateway.decided == {asked.key: True}


@pytest.mark.parametrize(("decision", "said"), [("approve", "goes on with $7 more"), ("deny", "The run ends there")])
def test_the_page_says_afterwards_what_became_of_the_run(
    web: Web, acme: Tenant, asked: Approval, browser: TestClient, decision: str, said: str
) -> None:
    who = crowd.signed_in(web, crowd.member(web, acme, Role.OWNER))
    assert decide(browser, asked, who, decision) == 303
    shown = browser.get(f"/approve/{asked.id}", headers=who).text
    assert said in shown
    assert "the agent was told" not in shown
