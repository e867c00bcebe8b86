"""Signing in to an account outside: the API's link, the page it leads to, the way to the provider and back."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from freehold.core.errors import Unavailable
from freehold.core.people import PlatformRole, Role
from freehold.core.tenants import Tenant
from tests import crowd
from tests.fake_sign_ins import OAUTH
from tests.webs import ADDRESS, Web, bearer, client, made

SIGN_IN = "/api/v1/tenants/acme/connections/crm/sign-in"


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    tenant = web.tenant("acme")
    connected(web, tenant.id)
    return tenant


@pytest.fixture
def browser(web: Web) -> Iterator[TestClient]:
    with client(web, None) as asking:
        asking.headers["Accept"] = "text/html"
        yield asking


@pytest.fixture
def api(web: Web) -> Iterator[TestClient]:
    with client(web) as asking:
        yield asking


@pytest.fixture
def mira(web: Web, acme: Tenant) -> dict[str, str]:
    return crowd.signed_in(web, crowd.member(web, acme, Role.ADMIN, crowd.person(web, name="Mira Hansen")))


def connected(web: Web, tenant: str | None, name: str = "crm", **oauth: Any) -> None:
    """Let there be a connection that people sign in to."""
    config = {"base_url": "https://api.provider.example/v2", "oauth": OAUTH | oauth}
    made: dict[str, Any] = {"id": f"con_{name}", "name": name, "kind": "http", "config": config, "secret": None}
    made |= {"made_by": "operator", "made_at": "2026-01-01T12:00:00+00:00"}
    web.gateway.connections[tenant, name] = made


def link(api: TestClient, place: str = SIGN_IN, **headers: Any) -> str:
    made = api.post(place, **headers)
    assert made.status_code == 201, made.text
    page = str(made.json()["page"])
    assert page == f"http://{ADDRESS}/connect/{made.json()['id']}"
    return page.removeprefix(f"http://{ADDRESS}")


def sent_off(browser: TestClient, page: str, who: dict[str, str]) -> str:
    """Press the button, and return the address at the provider that the browser is led to."""
    told = browser.post(page, headers=who, follow_redirects=False)
    assert told.status_code == 200, told.text
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', told.text)
    assert found, told.text
    return found[1]


def come_back(browser: TestClient, who: dict[str, str], **query: str) -> httpx2.Response:
    return browser.get("/connect/callback", params={"code": "c"} | query, headers=who, follow_redirects=False)


def test_an_admin_follows_the_link_connects_and_sees_it_done(
    web: Web, acme: Tenant, api: TestClient, browser: TestClient, mira: dict[str, str]
) -> None:
    page = link(api)
    shown = browser.get(page, headers=mira).text
    for told in ("crm", "acme", "api.provider.example", "id.provider.example", "contacts.write", "The operator asks"):
        assert told in shown, told
    assert web.gateway.begun == {}
    assert sent_off(browser, page, mira) == "https://id.provider.example/authorize?state=sgn_0.random"
    assert web.gateway.begun["sgn_0"]["redirect_uri"] == f"http://{ADDRESS}/connect/callback"
    back = come_back(browser, mira, state="sgn_0.random")
    assert back.status_code == 303
    done = browser.get(back.headers["location"], headers=mira)
    assert "crm is connected" in done.text
    assert "mira@provider.example" in done.text
    held = api.get(SIGN_IN).json()
    assert (held["state"], held["account"], held["connected_at"]) == (
        "connected", "mira@provider.example", "2026-01-01T12:00:00.000Z",
    )  # fmt: skip


def test_loading_the_last_page_again_shows_the_same(
    acme: Tenant, api: TestClient, browser: TestClient, mira: dict[str, str]
) -> None:
    sent_off(browser, link(api), mira)
    first, again = (come_back(browser, mira, state="sgn_0.random") for _ in range(2))
    assert (again.status_code, again.headers["location"]) == (303, first.headers["location"])


def test_who_is_not_signed_in_signs_in_first_and_comes_back(api: TestClient, acme: Tenant, browser: TestClient) -> None:
    page = link(api)
    told = browser.get(page, follow_redirects=False)
    assert (told.status_code, told.headers["location"]) == (303, f"/sign-in?next={page}")
    told = come_back(browser, {}, state="sgn_0.random")
    assert told.headers["location"].startswith("/sign-in?next=/connect/callback%3Fcode%3Dc")


def test_who_may_only_look_is_told_so_and_begins_nothing(
    web: Web, acme: Tenant, api: TestClient, browser: TestClient
) -> None:
    page = link(api)
    who = crowd.signed_in(web, crowd.member(web, acme, Role.MEMBER))
    shown = browser.get(page, headers=who)
    assert (shown.status_code, "<form" in shown.text) == (200, False)
    assert "Connecting needs the role of an admin." in shown.text
    assert browser.post(page, headers=who).status_code == 403
    assert web.gateway.begun == {}


def test_a_link_that_ran_out_says_so(web: Web, acme: Tenant, api: TestClient, browser: TestClient) -> None:
    page = link(api)
    web.clock.wind(86_401)
    later = crowd.signed_in(web, crowd.person(web, platform_role=PlatformRole.OPERATOR))
    for told in (browser.get(page, headers=later), browser.post(page, headers=later)):
        assert told.status_code == 404
        assert "This link has run out." in told.text
    assert web.gateway.begun == {}


def test_saying_no_at_the_provider_leads_back_to_where_it_can_be_tried_again(
    web: Web, acme: Tenant, api: TestClient, browser: TestClient, mira: dict[str, str]
) -> None:
    page = link(api)
    sent_off(browser, page, mira)
    told = come_back(browser, mira, state="sgn_0.random", error="access_denied")
    assert told.status_code == 403
    assert "You did not agree" in told.text
    again = re.search(r'href="(/connect/[^"]+)"', told.text)
    assert again
    assert "Continue to id.provider.example" in browser.get(again[1], headers=mira).text
    assert api.get(SIGN_IN).json()["state"] == "none"


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        ("sgn_0.random", 409, "was used already"),
        ("sgn_0.guessed", 404, "You did not begin this sign-in"),
        ("sgn_9.random", 404, "You did not begin this sign-in"),
        ("", 404, "You did not begin this sign-in"),
    ],
)
def test_a_way_back_that_leads_nowhere_is_explained(
    acme: Tenant, api: TestClient, browser: TestClient, mira: dict[str, str], state: str, status: int, said: str
) -> None:
    sent_off(browser, link(api), mira)
    come_back(browser, mira, state="sgn_0.random", error="access_denied")
    told = come_back(browser, mira, state=state)
    assert (told.status_code, said in told.text) == (status, True), told.text


def test_a_provider_that_is_away_is_told_in_its_own_words(
    web: Web, acme: Tenant, api: TestClient, browser: TestClient, mira: dict[str, str]
) -> None:
    sent_off(browser, link(api), mira)
    web.gateway.fails = Unavailable("id.provider.example does not answer.", remedy="Begin again in a minute.")
    told = come_back(browser, mira, state="sgn_0.random")
    assert told.status_code == 503
    assert "id.provider.example does not answer." in told.text
    assert "Begin again in a minute." in told.text


def test_an_account_that_ran_out_is_connected_anew(
    web: Web, acme: Tenant, api: TestClient, browser: TestClient, mira: dict[str, str]
) -> None:
    account: dict[str, Any] = {"state": "expired", "account": "mira@provider.example", "scopes": [], "expires_at": None}
    account |= {"refreshable": False, "connected_by": "operator", "connected_at": "2026-01-01T12:00:00+00:00"}
    web.gateway.signed_in_to[acme.id, "crm"] = account
    shown = browser.get(link(api), headers=mira).text
    assert "The account ran out" in shown
    assert "Connect anew at id.provider.example" in shown


def test_what_was_given_is_shown_where_it_is_not_what_was_asked_for(
    web: Web, acme: Tenant, api: TestClient, browser: TestClient, mira: dict[str, str]
) -> None:
    sent_off(browser, link(api), mira)
    back = come_back(browser, mira, state="sgn_0.random")
    web.gateway.signed_in_to[acme.id, "crm"]["scopes"] = ["contacts.read"]
    shown = browser.get(back.headers["location"], headers=mira).text
    assert "What it was given" in shown
    assert "contacts.write" not in shown


def test_a_preset_says_what_its_permissions_mean(
    web: Web, acme: Tenant, api: TestClient, browser: TestClient, mira: dict[str, str]
) -> None:
    web.gateway.connections[acme.id, "crm"]["config"]["oauth"] = {"preset": "github", "scopes": ["repo"]}
    shown = browser.get(link(api), headers=mira).text
    assert "Continue to GitHub" in shown
    assert "github.com" in shown
    assert "Read and change all repositories" in shown


def test_the_platforms_own_connection_is_connected_by_operators(
    web: Web, api: TestClient, acme: Tenant, browser: TestClient, mira: dict[str, str]
) -> None:
    connected(web, None, "shared")
    page = link(api, "/api/v1/connections/shared/sign-in")
    assert browser.get(page, headers=mira).status_code == 404
    who = crowd.signed_in(web, crowd.person(web, platform_role=PlatformRole.OPERATOR))
    sent_off(browser, page, who)
    assert come_back(browser, who, state="sgn_0.random").status_code == 303
    assert api.get("/api/v1/connections/shared/sign-in").json()["state"] == "connected"


def test_a_device_is_asked_about_until_it_is_done(web: Web, acme: Tenant, api: TestClient) -> None:
    begun = api.post(f"{SIGN_IN}/device").json()
    assert (begun["user_code"], begun["expires_at"]) == ("WDJB-MJHT", "2026-01-01T12:15:00.000Z")
    asking = f"{SIGN_IN}/device/{begun['id']}"
    assert api.post(asking).json() == {"state": "waiting", "account": "", "interval": 5}
    web.gateway.typed = "connected"
    assert api.post(asking).json()["account"] == "mira@provider.example"
    other = bearer(web.key(acme, "connections:write"))
    assert api.post(asking, headers=other).status_code == 404


def test_an_account_is_given_up(
    web: Web, acme: Tenant, api: TestClient, browser: TestClient, mira: dict[str, str]
) -> None:
    sent_off(browser, link(api), mira)
    come_back(browser, mira, state="sgn_0.random")
    assert api.delete(SIGN_IN).json() == {"revoked": True}
    assert api.get(SIGN_IN).json()["state"] == "none"


def test_a_connection_that_nobody_signs_in_to_says_so(web: Web, acme: Tenant, api: TestClient) -> None:
    del web.gateway.connections[acme.id, "crm"]["config"]["oauth"]
    told = api.post(SIGN_IN)
    assert (told.status_code, told.json()["code"]) == (409, "no_sign_in")
    assert api.post(SIGN_IN.replace("crm", "none")).status_code == 404


def test_the_page_speaks_german(web: Web, acme: Tenant, api: TestClient, browser: TestClient) -> None:
    who = crowd.signed_in(web, crowd.member(web, acme, Role.OWNER, crowd.person(web, language="de")))
    shown = browser.get(link(api), headers=who).text
    assert "crm verbinden" in shown
    assert "Weiter zu id.provider.example" in shown
