"""The whole platform in a browser: from the link that `up` prints to signing in with the code it prints."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from freehold.testing.platform import LocalPlatform
from tests.platforms import told, until

Window = Callable[..., BrowserContext]


def test_whoever_starts_a_platform_claims_it_and_signs_in_again(window: Window, tmp_path: Path) -> None:
    with LocalPlatform(tmp_path / "data") as platform:
        page = window().new_page()
        page.goto(told(platform, "claim-link")["claim_url"])
        page.get_by_label("Your name").fill("Mira Hansen")
        page.get_by_label("E-mail").fill("mira@example.com")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Platform operator")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("E-mail").fill("mira@example.com")
        page.keyboard.press("Enter")
        expect(page.get_by_text("This platform has no mail server yet")).to_be_visible()
        [code] = until(lambda: re.findall(r"Subject: (\d{8}) is", platform.said), why="a code")
        page.get_by_label("Code").fill(code)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Mira Hansen")).to_be_visible()
