"""Invitations in the wrong hands: what a link must not do, and when it must be over."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from freehold.core.people import Person, PlatformRole, Role
from freehold.core.tenants import Tenant
from tests.crowd import member, person, signed_in
from tests.webs import ADDRESS, OPERATOR, Web, bearer, client, made

AT = "/api/v1/tenants/acme"
OURS = {"Origin": f"http://{ADDRESS}"}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    return web.tenant("acme")


@pytest.fixture
def browser(web: Web) -> Iterator[TestClient]:
    with client(web, None) as asking:
        asking.follow_redirects = False
        yield asking


@pytest.fixture
def boss(web: Web, acme: Tenant) -> dict[str, str]:
    return signed_in(web, member(web, acme, Role.OWNER, person(web, "olive@example.com")))


def shown_link(browser: TestClient, who: dict[str, str], email: str, role: str = "member") -> str:
    answer = browser.post(f"{AT}/invitations", headers=who, json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    return "/invite/" + str(answer.json()["link"]).partition("/invite/")[2]


def mailed_link(web: Web) -> str:
    return "/invite/" + str(web.gateway.mails[-1]["text"]).partition("/invite/")[2].split()[0]


def belongs(web: Web, tenant: Tenant, who: Person) -> bool:
    with web.state.store.tenant(tenant.id).read() as scope:
        return scope.members.of_person(who.id) is not None


def known(web: Web, email: str) -> Person | None:
    with web.state.store.read() as platform:
        return platform.people.by_email(email)


def signs_in(answer: object) -> bool:
    return "__Host-freehold=" in str(getattr(answer, "headers", ""))


def test_an_inviter_makes_nobody_a_member_who_did_not_say_yes(
    web: Web, acme: Tenant, boss: dict[str, str], browser: TestClient
) -> None:
    ops = person(web, "ops@example.com", platform_role=PlatformRole.OPERATOR)
    theirs = signed_in(web, ops)
    link = shown_link(browser, boss, "ops@example.com")
    answer = browser.post(link, headers=OURS)
    assert not signs_in(answer)
    assert not belongs(web, acme, ops)
    browser.post(f"{AT}/switches/revoke-access", headers=boss)
    assert browser.get("/api/v1/me", headers=theirs).status_code == 200


def test_an_inviter_is_not_told_whom_the_platform_knows(web: Web, boss: dict[str, str], browser: TestClient) -> None:
    person(web, "ada@example.com")
    answers = []
    for email in ("ada@example.com", "bob@example.com"):
        link = shown_link(browser, boss, email)
        answer = browser.post(link, headers=OURS)
        answers.append((answer.status_code, answer.headers["location"].replace(link, "LINK"), answer.text))
    assert answers[0] == answers[1]


def test_who_was_shown_a_link_signs_in_by_a_code_and_then_takes_the_place(
    web: Web, acme: Tenant, boss: dict[str, str], browser: TestClient
) -> None:
    link = shown_link(browser, boss, "bob@example.com")
    asked = browser.post(link, headers=OURS)
    assert asked.headers["location"] == f"/sign-in?next={link}&invited=1"
    nonce = {"Cookie": f"__Host-freehold-browser={'n' * 43}"} | OURS
    browser.post("/sign-in", data={"email": "bob@example.com", "next": link}, headers=nonce)
    code = re.findall(r"\b[0-9]{8}\b", web.gateway.mails[-1]["text"])[0]
    entered = browser.post(
        "/sign-in/code", data={"email": "bob@example.com", "code": code, "next": link}, headers=nonce
    )
    assert entered.headers["location"] == link
    bob = known(web, "bob@example.com")
    assert bob is not None
    assert browser.post(link, headers=signed_in(web, bob)).headers["location"] == "/account"
    assert belongs(web, acme, bob)


def test_a_mailed_link_signs_in_nobody_who_was_known_before(
    web: Web, acme: Tenant, boss: dict[str, str], browser: TestClient
) -> None:
    ops = person(web, "ops@example.com", platform_role=PlatformRole.OPERATOR)
    shown_link(browser, boss, "ops@example.com")
    answer = browser.post(mailed_link(web), headers=OURS)
    assert belongs(web, acme, ops)
    assert not signs_in(answer)
    assert answer.headers["location"] == "/sign-in?joined=1"


def test_a_mailed_link_signs_in_whom_it_makes_known(web: Web, boss: dict[str, str], browser: TestClient) -> None:
    shown_link(browser, boss, "new@example.com")
    answer = browser.post(mailed_link(web), headers=OURS)
    assert signs_in(answer)
    assert answer.headers["location"] == "/account"


def test_what_a_key_offered_ends_with_the_key(
    web: Web, acme: Tenant, boss: dict[str, str], browser: TestClient
) -> None:
    key = web.key(acme)
    link = shown_link(browser, bearer(key), "thief@example.com", "owner")
    (kept,) = browser.get(f"{AT}/keys", headers=boss).json()["items"]
    assert browser.delete(f"{AT}/keys/{kept['id']}", headers=boss).status_code == 204
    for one in (link, mailed_link(web)):
        assert browser.post(one, headers=OURS).status_code == 409
    assert known(web, "thief@example.com") is None


def test_what_an_operator_offered_ends_with_their_role(web: Web, acme: Tenant, browser: TestClient) -> None:
    ops = person(web, platform_role=PlatformRole.OPERATOR)
    shown_link(browser, signed_in(web, ops), "thief@example.com", "owner")
    told = {"platform_role": None}
    assert browser.patch(f"/api/v1/people/{ops.id}", headers=bearer(OPERATOR), json=told).is_success
    assert browser.post(mailed_link(web), headers=OURS).status_code == 409


def test_what_an_operator_offered_as_a_member_stays(web: Web, acme: Tenant, browser: TestClient) -> None:
    ops = member(web, acme, Role.ADMIN, person(web, platform_role=PlatformRole.OPERATOR))
    shown_link(browser, signed_in(web, ops), "ada@example.com", "viewer")
    told = {"platform_role": None}
    assert browser.patch(f"/api/v1/people/{ops.id}", headers=bearer(OPERATOR), json=told).is_success
    assert browser.post(mailed_link(web), headers=OURS).status_code == 303


@pytest.mark.parametrize("place", [AT, "/api/v1"])
def test_who_shuts_everybody_out_leaves_no_link_that_lets_in(
    web: Web, acme: Tenant, boss: dict[str, str], browser: TestClient, place: str
) -> None:
    shown_link(browser, boss, "thief@example.com", "owner")
    assert browser.post(f"{place}/switches/revoke-access", headers=bearer(OPERATOR)).is_success
    assert browser.post(mailed_link(web), headers=OURS).status_code == 409


def test_shutting_out_one_tenant_ends_no_offer_of_another(
    web: Web, acme: Tenant, boss: dict[str, str], browser: TestClient
) -> None:
    shown_link(browser, boss, "ada@example.com")
    web.tenant("other")
    assert browser.post("/api/v1/tenants/other/switches/revoke-access", headers=bearer(OPERATOR)).is_success
    assert browser.post(mailed_link(web), headers=OURS).status_code == 303
