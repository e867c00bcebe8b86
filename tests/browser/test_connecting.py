"""Connecting an account in a real browser: with and without JavaScript, to a provider at another origin and back."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page
from typing_extensions import override

from freehold.core.people import Person, Role
from freehold.core.tenants import Tenant
from freehold.web.connect_links import LASTING, Link, written
from freehold.web.head import COOKIE
from tests import crowd
from tests.browser.serving import PHONE, SHOTS, barriers, overflow
from tests.journey.test_connecting import connected
from tests.webs import Web

Window = Callable[..., BrowserContext]
LOOKS: dict[str, tuple[Any, int]] = {"light": ("light", 1100), "dark": ("dark", 1100), "phone": ("light", PHONE)}
STATES = ["ask", "viewer", "connected", "expired", "ends", "done", "denied", "failed", "stale", "over", "unknown"]
WORDS = {
    "https://www.googleapis.com/auth/calendar.events": "",
    "https://www.googleapis.com/auth/gmail.send": "",
}


class Consent(BaseHTTPRequestHandler):
    """A provider that asks whether somebody agrees, after leading them around a corner first."""

    back = ""
    seen: ClassVar[list[str | None]] = []
    """From which pages people came."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
            return
        if asked.path == "/authorize":  # a redirect to another path, as providers do
            self.seen.append(self.headers["Referer"])
            self.send_response(302)
            self.send_header("Location", f"/consent?{asked.query}")
            self.end_headers()
            return
        state = parse_qs(asked.query)["state"][0]
        page = f'<a id="yes" href="{self.back}?code=c&state={state}">Yes</a>'
        page += f'<a id="no" href="{self.back}?error=access_denied&state={state}">No</a>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"<!doctype html><title>Consent</title>{page}".encode())

    @override
    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def provider(place: tuple[Web, str]) -> Iterator[str]:
    web, base = place
    seen: list[str | None] = []
    server = HTTPServer(("127.0.0.1", 0), type("Here", (Consent,), {"back": f"{base}/connect/callback", "seen": seen}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    there = f"http://127.0.0.1:{server.server_port}"
    web.gateway.provider = f"{there}/authorize"
    yield there
    assert set(seen) == {None}  # nothing of our address goes there
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def acme(place: tuple[Web, str]) -> Tenant:
    web, _ = place
    tenant = web.tenant("kraft")
    connected(web, tenant.id)
    return tenant


def enter(context: BrowserContext, web: Web, base: str, tenant: Tenant, role: Role = Role.ADMIN) -> Person:
    who = crowd.member(web, tenant, role, crowd.person(web, "mira.hansen@kraft-soehne.example", name="Mira Hansen"))
    value = crowd.signed_in(web, who)["Cookie"].partition("=")[2]
    there = base.replace("http", "https")
    context.add_cookies([{"name": COOKIE, "value": value, "url": there, "secure": True, "httpOnly": True}])
    return who


def page_of(web: Web, tenant: Tenant, by: str = "operator", **ago: Any) -> str:
    link = Link(tenant=tenant.id, connection="crm", by=by, until=web.clock.now() + LASTING)
    return f"/connect/{written(link, seal=web.state.seal)}"


@pytest.mark.parametrize("script", ["without", "with"])
def test_somebody_connects_an_account(
    window: Window, place: tuple[Web, str], acme: Tenant, provider: str, script: str
) -> None:
    web, base = place
    context = window(java_script_enabled=script == "with")
    enter(context, web, base, acme)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(base + page_of(web, acme))
    page.get_by_role("button", name="Continue to").click()
    page.wait_for_url(f"{provider}/consent*")
    page.locator("#yes").click()
    page.get_by_role("heading", name="crm is connected").wait_for()
    assert "code=" not in page.url
    assert "mira@provider.example" in page.content()
    page.reload()
    page.get_by_role("heading", name="crm is connected").wait_for()
    assert said == []


def test_somebody_who_says_no_can_change_their_mind(
    window: Window, place: tuple[Web, str], acme: Tenant, provider: str
) -> None:
    web, base = place
    context = window()
    enter(context, web, base, acme)
    page = context.new_page()
    page.goto(base + page_of(web, acme))
    page.get_by_role("button", name="Continue to").click()
    page.locator("#no").click()
    page.get_by_role("heading", name="Nothing was connected").wait_for()
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Continue to").click()
    page.locator("#yes").click()
    page.get_by_role("heading", name="crm is connected").wait_for()


@pytest.mark.long
@pytest.mark.parametrize("name", STATES)
def test_every_state_of_the_page_is_for_everybody(
    window: Window, place: tuple[Web, str], acme: Tenant, name: str
) -> None:
    web, base = place
    # The rules run as a script in the page, which its own policy would not let in.
    context = window(java_script_enabled=True, bypass_csp=True)
    page = context.new_page()
    who = enter(context, web, base, acme, Role.MEMBER if name == "viewer" else Role.ADMIN)
    visit(page, web, base, acme, name, who)
    for look, (scheme, width) in LOOKS.items():
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        shoot(page, f"connect-{name}-{look}")
        assert barriers(page) == [], look
        assert overflow(page) == 0, look
    assert page.title().endswith("· Freehold")


@pytest.mark.long
@pytest.mark.parametrize("name", ["ask", "connected", "denied"])
def test_a_longer_language_fits_a_phone_too(window: Window, place: tuple[Web, str], acme: Tenant, name: str) -> None:
    web, base = place
    context = window(locale="de-DE", viewport={"width": PHONE, "height": 740})
    page = context.new_page()
    who = enter(context, web, base, acme)
    visit(page, web, base, acme, name, who)
    shoot(page, f"connect-{name}-de")
    assert page.locator("html").get_attribute("lang") == "de"
    assert overflow(page) == 0


@pytest.mark.long
def test_the_page_that_leads_on_is_for_everybody_too(window: Window, place: tuple[Web, str], acme: Tenant) -> None:
    web, base = place
    context = window(java_script_enabled=True, bypass_csp=True)
    enter(context, web, base, acme)
    page = context.new_page()
    page.route("https://id.provider.example/**", lambda route: route.fulfill(status=204))  # so that it stays
    page.goto(base + page_of(web, acme))
    page.get_by_role("button", name="Continue to").click()
    page.get_by_role("heading", name="On to id.provider.example").wait_for()
    shoot(page, "connect-go-light")
    assert barriers(page) == []


def visit(page: Page, web: Web, base: str, tenant: Tenant, name: str, who: Person) -> None:
    """Have the page stand as `name` says."""
    config = web.gateway.connections[tenant.id, "crm"]["config"]
    config["oauth"] = {"preset": "google", "scopes": list(WORDS)} if name == "ask" else config["oauth"]
    account: dict[str, Any] = {"state": "expired" if name == "expired" else "connected", "connected_by": "operator"}
    account |= {"account": "mira@provider.example", "scopes": ["a"], "refreshable": name != "ends"}
    account |= {"expires_at": "2026-01-03T12:00:00+00:00", "connected_at": "2026-01-01T12:00:00+00:00"}
    if name in {"connected", "expired", "ends", "done"}:
        web.gateway.signed_in_to[tenant.id, "crm"] = account
    back = {"denied": "sgn_0.random&error=access_denied", "failed": "sgn_0.random&error=x", "stale": "sgn_9.random"}
    if name in {"denied", "failed"}:
        begun = {"id": "sgn_0", "tenant": tenant.id, "connection": "crm", "by": f"person:{who.id}", "state": "waiting"}
        web.gateway.begun["sgn_0"] = begun
    place = page_of(web, tenant)
    if name == "over":
        web.clock.wind(-1)
        gone = Link(tenant=tenant.id, connection="crm", by="operator", until=web.clock.now())
        place = f"/connect/{written(gone, seal=web.state.seal)}"
        web.clock.wind(1)
    place = {"unknown": "/connect/x.y", "done": f"{place}?done=1"}.get(name, place)
    page.goto(base + (f"/connect/callback?state={back[name]}" if name in back else place))


def shoot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
