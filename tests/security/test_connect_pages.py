"""What somebody hostile can do with the pages where accounts are connected: nothing, and they learn nothing either."""

import base64
import json

import httpx2
import pytest
from starlette.testclient import TestClient

from freehold.core.people import MemberState, PlatformRole, Role
from freehold.core.tenants import Tenant
from freehold.tenants.sealing import Seal
from freehold.web.connect_links import Link, written
from tests import crowd
from tests.journey.test_connecting import SIGN_IN, acme, browser, come_back, connected, link, sent_off, web
from tests.webs import ADDRESS, SEAL, Web, bearer, client

__all__ = ["acme", "browser", "web"]
AWAY = "https://evil.example"


@pytest.fixture
def page(web: Web, acme: Tenant) -> str:
    with client(web) as api:
        return link(api)


def admin(web: Web, tenant: Tenant) -> dict[str, str]:
    return crowd.signed_in(web, crowd.member(web, tenant, Role.ADMIN))


def without_id(told: httpx2.Response) -> str:
    return told.text.replace(told.headers["x-request-id"], "")


def forged(page: str, **other: str) -> str:
    """Return a link that says something else under the mark of the one that was given."""
    body, _, mark = page.removeprefix("/connect/").partition(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=="))
    tenant, connection, by, until = said
    told = [other.get("tenant", tenant), other.get("connection", connection), other.get("by", by), until]
    return f"/connect/{base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b'=').decode()}.{mark}"


def test_a_link_of_another_tenant_answers_like_one_that_is_not_there(
    web: Web, acme: Tenant, page: str, browser: TestClient
) -> None:
    other = web.tenant("other")
    strangers = [
        crowd.member(web, other, Role.OWNER),
        crowd.person(web),
        crowd.member(web, acme, Role.OWNER, state=MemberState.SUSPENDED),
    ]
    for who in (crowd.signed_in(web, person) for person in strangers):
        foreign, missing = browser.get(page, headers=who), browser.get("/connect/none.0", headers=who)
        assert (foreign.status_code, missing.status_code) == (404, 404)
        assert without_id(foreign) == without_id(missing)
        assert browser.post(page, headers=who).status_code == 404
    assert web.gateway.begun == {}


def test_nobody_writes_a_link_but_web(web: Web, acme: Tenant, page: str, browser: TestClient) -> None:
    who = admin(web, acme)
    connected(web, acme.id, "bank")
    mine = Link(tenant=acme.id, connection="bank", by="operator", until=web.clock.now().replace(year=2030))
    tried = [
        forged(page, connection="bank"),
        forged(page, by="operator"),
        forged(page, tenant=""),
        page[:-1],
        page + "0",
        page.partition(".")[0],
        "/connect/" + written(mine, seal=Seal("another" * 9)),
        "/connect/" + written(mine, seal=Seal("")),
        "/connect/.",
        "/connect/%00.x",
        "/connect/\u00e9.\u00e9",
    ]
    assert browser.get("/connect/" + written(mine, seal=Seal(SEAL)), headers=who).status_code == 200
    for one in tried:
        told = browser.get(one, headers=who), browser.post(one, headers=who)
        assert [answer.status_code for answer in told] == [404, 404], one
    assert web.gateway.begun == {}


def test_a_foreign_page_presses_no_button(web: Web, acme: Tenant, page: str, browser: TestClient) -> None:
    who = admin(web, acme)
    cookie = {"Cookie": who["Cookie"]}
    for headers in (
        cookie | {"Origin": AWAY},
        cookie | {"Origin": "null"},
        cookie,
        cookie | {"Origin": f"http://{ADDRESS}", "Sec-Fetch-Site": "cross-site"},
    ):
        assert browser.post(page, headers=headers).status_code == 403, headers
    assert web.gateway.begun == {}


def test_looking_begins_nothing(web: Web, acme: Tenant, page: str, browser: TestClient) -> None:
    who = admin(web, acme)
    assert browser.get(page, headers=who).status_code == 200
    assert browser.head(page, headers=who).status_code in {200, 405}
    assert web.gateway.begun == {}


def test_only_who_was_sent_off_comes_back(web: Web, acme: Tenant, page: str, browser: TestClient) -> None:
    mira, other = admin(web, acme), admin(web, acme)
    sent_off(browser, page, mira)
    told = come_back(browser, other, state="sgn_0.random")
    assert told.status_code == 404
    assert "acme" not in told.text
    assert "/connect/" not in told.text
    assert web.gateway.signed_in_to == {}
    key = bearer(web.key(acme, "*"))
    assert come_back(browser, key, state="sgn_0.random").status_code == 303  # to sign in: a key is nobody here
    assert web.gateway.signed_in_to == {}
    assert come_back(browser, mira, state="sgn_0.random").status_code == 303
    assert len(web.gateway.signed_in_to) == 1


def test_a_foreign_page_leads_nobody_back_but_by_a_whole_navigation(
    web: Web, acme: Tenant, page: str, browser: TestClient
) -> None:
    mira = admin(web, acme)
    sent_off(browser, page, mira)
    embedded = mira | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    del embedded["Origin"]
    assert come_back(browser, embedded, state="sgn_0.random").status_code == 403
    assert web.gateway.signed_in_to == {}
    followed = embedded | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert come_back(browser, followed, state="sgn_0.random").status_code == 303


@pytest.mark.parametrize("lost", ["role", "place", "tenant"])
def test_who_lost_the_power_in_between_connects_nothing(
    web: Web, acme: Tenant, page: str, browser: TestClient, lost: str
) -> None:
    person = crowd.member(web, acme, Role.ADMIN)
    mira = crowd.signed_in(web, person)
    sent_off(browser, page, mira)
    if lost == "tenant":
        with client(web) as api:
            assert api.post("/api/v1/tenants/acme/suspend", json={}).is_success
    elif lost == "place":
        crowd.changed(web, acme, person, state=MemberState.SUSPENDED)
    else:
        crowd.changed(web, acme, person, role=Role.VIEWER)
    told = come_back(browser, mira, state="sgn_0.random")
    assert told.status_code == (404 if lost == "place" else 403)
    assert web.gateway.begun["sgn_0"]["state"] == "waiting"
    assert web.gateway.signed_in_to == {}


def test_a_tenants_admin_connects_nothing_of_the_platforms(web: Web, acme: Tenant, browser: TestClient) -> None:
    connected(web, None, "shared")
    with client(web) as api:
        page = link(api, "/api/v1/connections/shared/sign-in")
        headers = bearer(web.key(acme, "*"))
        assert api.post("/api/v1/connections/shared/sign-in", headers=headers).status_code == 403
        assert api.get("/api/v1/connections/shared/sign-in", headers=headers).status_code == 403
    assert browser.post(page, headers=admin(web, acme)).status_code == 404
    auditor = crowd.signed_in(web, crowd.person(web, platform_role=PlatformRole.AUDITOR))
    assert "<form" not in browser.get(page, headers=auditor).text
    assert browser.post(page, headers=auditor).status_code == 403
    assert web.gateway.begun == {}


@pytest.mark.parametrize("url", ["javascript:alert(1)//", "data:text/html,x", "//evil.example/", "/account"])
def test_a_provider_that_is_no_page_is_not_gone_to(
    web: Web, acme: Tenant, page: str, browser: TestClient, url: str
) -> None:
    web.gateway.provider = url
    told = browser.post(page, headers=admin(web, acme))
    assert (told.status_code, "refresh" in told.text) == (422, False)


def test_what_others_named_never_becomes_markup(web: Web, acme: Tenant, page: str, browser: TestClient) -> None:
    bad = '"><script>alert(1)</script>\u202e'
    web.gateway.connections[acme.id, "crm"]["config"] |= {"base_url": f"https://x.example/{bad}"}
    web.gateway.connections[acme.id, "crm"]["config"]["oauth"]["scopes"] = [bad]
    account = {"state": "connected", "account": bad, "scopes": [bad], "expires_at": None, "refreshable": False}
    account |= {"connected_by": f"key:{bad}", "connected_at": "2026-01-01T12:00:00+00:00"}
    web.gateway.signed_in_to[acme.id, "crm"] = account
    web.gateway.provider = f"https://id.provider.example/authorize?a={bad}&b="
    who = admin(web, acme)
    shown = browser.get(page, headers=who).text
    assert "<script" not in shown
    assert '<span class="odd">U+202E</span>' in shown
    gone = browser.post(page, headers=who).text
    assert "<script" not in gone
    assert 'content="0; url=https://id.provider.example/authorize?a=&#34;&gt;' in gone


def test_the_pages_say_to_browsers_what_they_may_do(web: Web, acme: Tenant, page: str, browser: TestClient) -> None:
    who = admin(web, acme)
    for told in (
        browser.get(page, headers=who),
        browser.post(page, headers=who),
        come_back(browser, who, state="nonsense"),
    ):
        assert "form-action 'self';" in told.headers["content-security-policy"]
        assert "script-src" not in told.headers["content-security-policy"]
        assert told.headers["cache-control"] == "no-store"
        assert told.headers["referrer-policy"] == "same-origin"  # nothing of our address goes to the provider


def test_what_comes_back_is_not_shown_again(web: Web, acme: Tenant, page: str, browser: TestClient) -> None:
    who = admin(web, acme)
    sent_off(browser, page, who)
    done = come_back(browser, who, state="sgn_0.random", code="the-code-itself")
    assert "the-code" not in done.headers["location"] + done.text
    failed = come_back(browser, who, state="sgn_9.random", code="the-code-itself", error="<b>x</b>")
    assert "the-code" not in failed.text
    assert "<b>" not in failed.text


def test_the_api_says_no_more_than_the_page(web: Web, acme: Tenant) -> None:
    other = web.tenant("other")
    with client(web, web.key(other)) as api:
        for method, path in (("POST", SIGN_IN), ("GET", SIGN_IN), ("DELETE", SIGN_IN), ("POST", f"{SIGN_IN}/device")):
            told, missing = (api.request(method, one) for one in (path, path.replace("acme", "nowhere")))
            assert (told.status_code, told.json()["detail"]) == (404, missing.json()["detail"])
    with client(web, web.key(acme, "connections:read")) as api:
        assert api.get(SIGN_IN).status_code == 200
        assert api.post(SIGN_IN).status_code == 403
        assert api.delete(SIGN_IN).status_code == 403
        assert api.post(f"{SIGN_IN}/device").status_code == 403
        assert api.post(f"{SIGN_IN}/device/sgn_1").status_code == 403
