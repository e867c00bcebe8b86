"""Passkeys in a real browser, with a device that its developers' tools play."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from tests import crowd
from tests.browser.serving import served
from tests.browser.test_people import sign_in

Window = Callable[..., BrowserContext]


def device(page: Page, *, verifies: bool = True) -> None:
    """Put a device with a fingerprint reader into the browser; one that does not verify knows nobody's finger."""
    tools = page.context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": verifies,
        "automaticPresenceSimulation": True,
    }
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_somebody_adds_a_passkey_and_signs_in_with_it(window: Window, tmp_path: Path) -> None:
    with served(tmp_path, host="localhost") as (web, base):
        ada = crowd.person(web, "ada@example.com", name="Ada Berg")
        page = window(java_script_enabled=True).new_page()
        device(page)
        sign_in(page, web, base, "ada@example.com", start="/sign-in?next=/account")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_role("button", name="Remove the passkey")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.goto(f"{base}/sign-in?next=/account")
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_role("heading", name="Ada Berg")).to_be_visible()
        with web.state.store.read() as platform:
            [session] = platform.sessions.of(ada.id)
        assert (session.way, session.strong) == ("passkey", True)


def test_a_device_that_knows_nobody_signs_nobody_in(window: Window, tmp_path: Path) -> None:
    with served(tmp_path, host="localhost") as (_, base):
        page = window(java_script_enabled=True).new_page()
        device(page, verifies=False)
        page.goto(f"{base}/sign-in")
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert "/sign-in" in page.url


def test_where_a_device_would_make_none_no_button_is_shown(window: Window, tmp_path: Path) -> None:
    with served(tmp_path) as (_, base):
        page = window(java_script_enabled=True).new_page()
        page.goto(f"{base}/sign-in")
        expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
