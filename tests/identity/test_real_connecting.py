"""The whole of connecting an account, at a provider that somebody else wrote: page, consent, back, used, given up."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, async_playwright

from freehold.core.people import Role
from freehold.core.tenants import Tenant
from freehold.testing.clock import FakeClock
from freehold.web.head import COOKIE
from freehold.web.watching import Seen, look
from tests import crowd
from tests.browser.conftest import CHROMIUM
from tests.gateways import Kit, running
from tests.identity.real import HERE, MISSING, SECRET, is_installed
from tests.identity.test_real_accounts import config
from tests.webs import Web, made, served

pytestmark = [
    pytest.mark.skipif(not is_installed(), reason=MISSING),
    pytest.mark.skipif(not CHROMIUM, reason="needs chromium: tools/environment chromium"),
]
SIGN_IN = "/api/v1/tenants/kraft/connections/crm/sign-in"


@dataclass
class Scene:
    web: Web
    kit: Kit
    clock: FakeClock
    """The gateway's."""
    issuer: str
    tenant: Tenant
    api: httpx.AsyncClient
    page: Page

    async def state(self) -> dict[str, Any]:
        return dict((await self.api.get(SIGN_IN)).json())

    async def consent(self) -> None:
        """Go from our page through the provider's, whose forms ask who it is and whether they agree."""
        link = (await self.api.post(SIGN_IN)).json()["page"]
        await self.page.goto(link)
        await (
            self.page.get_by_role("button", name="Continue to")
            .or_(self.page.get_by_role("button", name="Connect anew"))
            .click()
        )
        # Whoever agreed here before is led straight back.
        await self.page.wait_for_url(lambda url: url.startswith(self.issuer) or "done=1" in url)
        if await self.page.locator("input[name=login]").count():
            await self.page.locator("input[name=login]").fill("ada")
            await self.page.locator("input[name=password]").fill("anything")
            await self.page.locator("button[type=submit]").click()
        if self.page.url.startswith(self.issuer):
            await self.page.get_by_role("button", name="Continue").click()


@asynccontextmanager
async def provider(back: str) -> AsyncIterator[str]:
    grants = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
    client = {"client_id": "freehold", "client_secret": SECRET, "redirect_uris": [back], "grant_types": grants}
    process = await asyncio.create_subprocess_exec(
        *("node", "accounts.js", json.dumps({"client": client})),
        cwd=HERE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def browsing() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = await browser.new_context(java_script_enabled=False, locale="en-GB")
        context.set_default_timeout(10_000)
        yield await context.new_page()
        await browser.close()


@asynccontextmanager
async def scene(data: Path) -> AsyncIterator[Scene]:
    listener = socket.create_server(("127.0.0.1", 0))
    home = f"http://127.0.0.1:{listener.getsockname()[1]}"
    clock = FakeClock()
    async with (
        provider(f"{home}/connect/callback") as issuer,
        running(data / "gateway", clock) as kit,
        browsing() as page,
    ):
        web = made(data / "web", gateway=kit.web, public_url=home)
        async with served(web, listener=listener) as api:
            api.headers["Host"] = home.removeprefix("http://")
            tenant = web.tenant("kraft")
            await kit.web.set_secret(tenant.id, "crm-client", SECRET, by="key:1")
            named: dict[str, Any] = {"kind": "http", "name": "crm", "secret": None, "by": "key:1"}
            await kit.web.create_connection(tenant.id, config=config(issuer, "basic"), **named)
            mira = crowd.member(web, tenant, Role.ADMIN, crowd.person(web, "mira@example.com", name="Mira Hansen"))
            value = crowd.signed_in(web, mira)["Cookie"].partition("=")[2]
            there = home.replace("http", "https")
            cookie: Any = {"name": COOKIE, "value": value, "url": there, "secure": True, "httpOnly": True}
            await page.context.add_cookies([cookie])
            yield Scene(web, kit, clock, issuer, tenant, api, page)


async def test_an_account_is_connected_in_a_browser_shown_prolonged_and_given_up(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        assert (await it.state())["state"] == "none"
        await it.consent()
        await it.page.get_by_role("heading", name="crm is connected").wait_for()
        assert "ada@example.com" in await it.page.content()
        assert "code=" not in it.page.url
        held = await it.state()
        assert (held["state"], held["account"], held["refreshable"]) == ("connected", "ada@example.com", True)
        assert held["scopes"] == ["openid", "email"]
        [listed] = (await it.api.get("/api/v1/tenants/kraft/connections")).json()["items"]
        assert listed["sign_in"] == held
        gone = await it.api.delete(SIGN_IN)
        assert gone.json() == {"revoked": True}
        assert (await it.state())["state"] == "none"


async def test_saying_no_there_connects_nothing_and_yes_afterwards_does(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.page.goto((await it.api.post(SIGN_IN)).json()["page"])
        await it.page.get_by_role("button", name="Continue to").click()
        await it.page.wait_for_url(f"{it.issuer}/**")
        await it.page.get_by_text("Cancel").click()
        await it.page.get_by_role("heading", name="Nothing was connected").wait_for()
        assert (await it.state())["state"] == "none"
        await it.page.get_by_role("link", name="Try again").click()
        await it.page.get_by_role("heading", name="Connect crm").wait_for()
        await it.consent()
        await it.page.get_by_role("heading", name="crm is connected").wait_for()


async def test_an_account_that_was_taken_back_there_is_told_by_mail_and_connected_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails: list[dict[str, Any]] = []

    async def send_mail(**mail: Any) -> None:
        mails.append(mail)

    async with scene(tmp_path) as it:
        monkeypatch.setattr(it.kit.web, "send_mail", send_mail)
        await it.consent()
        await it.page.get_by_role("heading", name="crm is connected").wait_for()
        async with httpx.AsyncClient() as outside:
            await outside.get(f"{it.issuer}/forget")
        it.clock.wind(2 * 86_400)
        await it.kit.gateway.accounts.watch()
        assert (await it.state())["state"] == "expired"
        for _ in range(2):
            await look(it.web.state, Seen())
        [mail] = mails
        assert (mail["to"], mail["subject"]) == ("mira@example.com", "kraft: sign crm in again")
        [link] = re.findall(r"http://\S+/connect/\S+", mail["text"])
        await it.page.goto(link)
        assert "The account ran out" in await it.page.content()
        await it.consent()
        await it.page.get_by_role("heading", name="crm is connected").wait_for()
        assert (await it.state())["state"] == "connected"
