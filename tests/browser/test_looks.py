"""How the pages look and sound: light, dark and narrow; nothing sticks out, and no rule of accessibility is broken."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from freehold.core.people import PlatformRole, Role
from freehold.web.head import COOKIE
from tests import crowd
from tests.browser.conftest import LOOKS
from tests.browser.serving import SHOTS, barriers, overflow
from tests.browser.test_people import question
from tests.webs import Web

Window = Callable[..., BrowserContext]


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
    match name:
        case "code" | "code-wrong":
            page.goto(f"{base}/sign-in")
            page.locator("#email").fill("mira.hansen@kraft-soehne.example")
            page.keyboard.press("Enter")
            page.locator("#code").fill("0")
            if name == "code-wrong":
                page.keyboard.press("Enter")
                page.locator("#code-fault").wait_for()
        case "sign-in-fault":
            page.goto(f"{base}/sign-in")
            page.keyboard.press("Enter")
            page.locator("#email-fault").wait_for()
        case "approve" | "approved":
            asked = question(web, base, web.tenant("acme"))
            page.goto(f"{base}/approve/{asked.id}")
            if name == "approved":
                page.locator("button[value=approve]").click()
                page.get_by_role("status").wait_for()
        case "claim-over":
            page.goto(f"{base}/claim?token=x")
        case _:
            page.goto(f"{base}/{name}")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    "name",
    ["sign-in", "sign-in-fault", "code", "code-wrong", "claim-over", "account", "approve", "approved", "nowhere"],
)
def test_a_page_is_for_everybody(window: Window, place: tuple[Web, str], name: str, look: str) -> None:
    web, base = place
    # The rules run as a script in the page, which its own policy would not let in.
    context = window(java_script_enabled=True, bypass_csp=True, **LOOKS[look])
    said: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    if name in {"account", "approve", "approved"}:
        enter(context, web, base, platform_role=PlatformRole.OPERATOR)
    visit(page, web, base, name)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}-{look}.png", full_page=True)
    assert barriers(page) == []
    assert overflow(page) == 0
    assert [line for line in said if not re.search(r"status of 4\d\d", line)] == []
    assert page.title().endswith("· Freehold")
