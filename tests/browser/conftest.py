"""A browser, and windows of it as people have them: with JavaScript or without, light or dark, wide or on a phone."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from freehold.tenants.sessions import hashed
from tests.browser.serving import served
from tests.webs import Web

LINK = "claim-" + "x" * 37
"""What the link shows with which the platform can be claimed."""
CHROMIUM = shutil.which("chromium") or ""
Window = Callable[..., BrowserContext]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("browser")
            item.add_marker(pytest.mark.xdist_group("browser"))  # one browser is enough for a small machine
            if not CHROMIUM:
                item.add_marker(pytest.mark.skip(reason="needs chromium: tools/environment chromium"))


@pytest.fixture(scope="module")  # no longer: while it is open a loop runs, and tests that wait need one of their own
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture
def window(browser: Browser) -> Iterator[Window]:
    """Give a maker of browser windows, each with cookies of its own; by itself English, wide and without JavaScript."""
    opened: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        wanted: dict[str, Any] = {"java_script_enabled": False, "locale": "en-GB"} | options
        context = browser.new_context(**wanted)
        context.set_default_timeout(10_000)
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Web, str]]:
    with served(tmp_path, claim_hash=hashed(LINK)) as found:
        yield found
