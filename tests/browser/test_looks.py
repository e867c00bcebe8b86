"""How the pages look and sound: light, dark and narrow; nothing sticks out, and no rule of accessibility is broken."""

import re
from collections.abc import Callable
from typing import Any, Literal

import pytest
from playwright.sync_api import BrowserContext, Page

from freehold.core.people import PlatformRole, Role
from freehold.web.head import COOKIE
from tests import crowd
from tests.browser.conftest import LINK
from tests.browser.serving import PHONE, SHOTS, barriers, overflow
from tests.browser.test_people import invited, question
from tests.webs import Web

Window = Callable[..., BrowserContext]
LOOKS: dict[str, tuple[Literal["light", "dark"], int]] = {
    "light": ("light", 1100),
    "dark": ("dark", 1100),
    "phone": ("light", PHONE),
}


def enter(context: BrowserContext, web: Web, base: str, **person: Any) -> None:
    """Let somebody be signed in who has much to look at."""
    who = crowd.person(web, "mira.hansen@kraft-soehne.example", name="Mira Hansen", **person)
    crowd.member(web, web.tenant("kraft"), Role.OWNER, who)
    crowd.signed_in(web, who, client="Mozilla/5.0 (iPhone) Version/19.0 Safari/604.1", address="2001:db8::17")
    cookie = crowd.signed_in(web, who, client="Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0", address="192.0.2.4")
    value = cookie["Cookie"].partition("=")[2]
    context.add_cookies(
        [{"name": COOKIE, "value": value, "url": base.replace("http", "https"), "secure": True, "httpOnly": True}]
    )


def visit(page: Page, web: Web, base: str, name: str) -> None:
    page.goto(base + address(web, base, name))
    match name:
        case "code" | "code-wrong":
            page.locator("#email").fill("mira.hansen@kraft-soehne.example")
            page.keyboard.press("Enter")
            page.locator("#code").fill("0")
            if name == "code-wrong":
                page.keyboard.press("Enter")
                page.locator("#code-fault").wait_for()
        case "sign-in-fault":
            page.keyboard.press("Enter")
            page.locator("#email-fault").wait_for()
        case "approved":
            page.locator("button[value=approve]").click()
            page.get_by_role("status").wait_for()
        case _:
            pass


def address(web: Web, base: str, name: str) -> str:
    match name:
        case "approve" | "approved":
            return f"/approve/{question(web, base, web.tenant('acme')).id}"
        case "claim":
            return f"/claim?token={LINK}"
        case "invite":
            return f"/invite/{invited(web, web.tenant('acme'), 'eve@example.com').mailed}"
        case _:
            return {"account": "/account", "nowhere": "/nowhere", "claim-over": "/claim?token=x"}.get(name, "/sign-in")


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "sign-in",
        "sign-in-fault",
        "code",
        "code-wrong",
        "claim",
        "claim-over",
        "invite",
        "account",
        "approve",
        "approved",
        "nowhere",
    ],
)
def test_a_page_is_for_everybody(window: Window, place: tuple[Web, str], name: str) -> None:
    said: list[str] = []
    page = opened(window, place, name, said)
    for look, (scheme, width) in LOOKS.items():
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        shoot(page, f"{name}-{look}")
        assert barriers(page) == [], look
        assert overflow(page) == 0, look
    assert [line for line in said if not re.search(r"status of 4\d\d", line)] == []
    assert page.title().endswith("· Freehold")


@pytest.mark.long
@pytest.mark.parametrize("name", ["sign-in", "code-wrong", "account", "approve"])
def test_a_longer_language_fits_a_phone_too(window: Window, place: tuple[Web, str], name: str) -> None:
    page = opened(window, place, name, [], locale="de-DE", viewport={"width": PHONE, "height": 740})
    shoot(page, f"{name}-de")
    assert page.locator("html").get_attribute("lang") == "de"
    assert overflow(page) == 0


def opened(window: Window, place: tuple[Web, str], name: str, said: list[str], **options: Any) -> Page:
    """Return the page as it stands once it was visited; what the browser has to say about it is in `said`."""
    web, base = place
    # The rules run as a script in the page, which its own policy would not let in.
    context = window(java_script_enabled=True, bypass_csp=True, **options)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    if name in {"account", "approve", "approved"}:
        enter(context, web, base, platform_role=PlatformRole.OPERATOR)
    visit(page, web, base, name)
    return page


def shoot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
