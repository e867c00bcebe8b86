"""Connections signed in at a provider that somebody else wrote: consent, refresh, taking back, on a device and off."""

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from freehold.core.errors import Denied, FreeholdError
from freehold.testing.clock import FakeClock
from tests.gateways import TENANT, Kit, effect, running, work
from tests.identity.real import CLIENT, HERE, MISSING, SECRET, Browser, brought, is_installed

pytestmark = pytest.mark.skipif(not is_installed(), reason=MISSING)

HOME = "http://127.0.0.1:7070"
BACK = f"{HOME}/connect/callback"
ADA, BOB = "person:per_ada", "person:per_bob"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_ACTION = re.compile(r'action="([^"]+)"')
_HIDDEN = re.compile(r'type="hidden" name="([^"]+)" value="([^"]*)"')


@dataclass
class Scene:
    kit: Kit
    clock: FakeClock
    issuer: str
    browser: Browser

    async def consent(self, by: str = ADA) -> dict[str, str]:
        """Return what a browser brings back after somebody agreed."""
        begun = await self.kit.web.start_sign_in(TENANT, "crm", by=by, redirect_uri=BACK)
        return brought(await self.browser.sign_in(begun["url"], "ada"))

    async def finish(self, back: dict[str, str], by: str = ADA) -> dict[str, Any]:
        told = {"code": back.get("code"), "error": back.get("error"), "issuer": back.get("iss")}
        return await self.kit.web.finish_sign_in(state=back["state"], by=by, **told)

    async def me(self, number: int = 1) -> dict[str, Any]:
        asked = effect("get", "crm", key=f"run_1/1/1/{number}", path="/me")
        return (await self.kit.worker.submit(work(), asked)).result or {}

    async def ask(self, path: str) -> dict[str, Any]:
        async with httpx.AsyncClient() as client:
            return dict((await client.get(self.issuer + path)).json())


@asynccontextmanager
async def scene(data: Path, *, auth: str = "basic", **more: Any) -> AsyncIterator[Scene]:
    """Give a connection whose API is what the provider tells of an account."""
    method = {"basic": "client_secret_basic", "post": "client_secret_post", "none": "none"}[auth]
    client = {"client_id": CLIENT, "redirect_uris": [BACK], "token_endpoint_auth_method": method}
    client |= {"grant_types": ["authorization_code", "refresh_token", DEVICE]}
    client |= {} if auth == "none" else {"client_secret": SECRET}
    process = await asyncio.create_subprocess_exec(
        *("node", "accounts.js", json.dumps({"client": client})),
        cwd=HERE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    browser, clock = Browser(BACK), FakeClock()
    try:
        issuer = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        async with running(data, clock) as kit:
            await kit.web.set_secret(TENANT, "crm-client", SECRET, by="key:1")
            named: dict[str, Any] = {"kind": "http", "name": "crm", "secret": None, "by": "key:1"}
            await kit.web.create_connection(TENANT, config=config(issuer, auth) | more, **named)
            await kit.publish(tools={"crm.get": "allow"})
            yield Scene(kit, clock, issuer, browser)
    finally:
        await browser.close()
        process.kill()
        await process.wait()


def config(issuer: str, auth: str) -> dict[str, Any]:
    places = {"authorize": f"{issuer}/auth", "token": f"{issuer}/token", "revoke": f"{issuer}/token/revocation"}
    client = {"client_id": CLIENT, "auth": auth, "scopes": ["openid", "email"], "device": f"{issuer}/device/auth"}
    client |= {} if auth == "none" else {"client_secret": "crm-client"}
    places |= {"about": f"{issuer}/me", "issuer": issuer}
    return {"base_url": issuer, "allow": ["GET:/me"], "oauth": places | client}


@pytest.mark.parametrize("auth", ["basic", "post", "none"])
async def test_a_real_consent_opens_a_real_api_and_is_taken_back(tmp_path: Path, auth: str) -> None:
    async with scene(tmp_path, auth=auth) as it:
        told = await it.finish(await it.consent())
        assert (told["account"], told["scopes"]) == ("ada@example.com", ["openid", "email"])
        assert (await it.me())["json"]["email"] == "ada@example.com"
        stored = b"".join(file.read_bytes() for file in (tmp_path / "gateway").iterdir() if file.is_file())
        assert SECRET.encode() not in stored
        assert await it.kit.web.disconnect(TENANT, "crm", by=ADA) == {"revoked": True}
        with pytest.raises(Denied):
            await it.me(2)


async def test_twenty_calls_on_an_old_token_are_one_real_refresh_and_the_rotated_token_goes_on(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.finish(await it.consent())
        for round_ in (1, 2):
            it.clock.wind(3600)
            told = await asyncio.gather(*(it.me(round_ * 100 + number) for number in range(20)))
            assert [one["status"] for one in told] == [200] * 20
            assert (await it.ask("/counts"))["given"]["refresh_token"] == round_
        assert (await it.ask("/counts"))["refused"] == {}


async def test_a_consent_taken_back_at_the_provider_is_an_account_that_ran_out(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.finish(await it.consent())
        await it.ask("/forget")
        it.clock.wind(3600)
        with pytest.raises(Denied) as refused:
            await it.me()
        assert refused.value.code == "not_connected"
        assert (await it.kit.web.sign_in_state(TENANT, "crm"))["state"] == "expired"
        await it.finish(await it.consent())
        assert (await it.me())["status"] == 200


async def test_nothing_that_is_not_the_right_return_gets_tokens(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        back = await it.consent()
        other = await it.consent()
        attempts = [
            (back, BOB),
            (back | {"state": back["state"] + "x"}, ADA),
            (back | {"iss": "https://evil.example.com"}, ADA),
            (other | {"code": back["code"]}, ADA),  # somebody's code in another's return: the verifier is not its own
            (other, ADA),
        ]
        for brought_back, by in attempts:
            with pytest.raises(FreeholdError):
                await it.finish(brought_back, by)
        assert "authorization_code" not in (await it.ask("/counts"))["given"]
        assert (await it.kit.web.sign_in_state(TENANT, "crm"))["state"] == "none"


async def test_a_code_is_good_once_and_only_for_where_it_was_asked_for(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        back = await it.consent()
        await it.finish(back)
        with pytest.raises(FreeholdError):
            await it.finish(back)
        assert (await it.ask("/counts"))["given"] == {"authorization_code": 1}
        assert (await it.me())["status"] == 200


async def test_somebody_agrees_on_another_device(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        begun = await it.kit.web.start_device(TENANT, "crm", by=ADA)
        it.clock.wind(begun["interval"])
        poll = {"tenant": TENANT, "sign_in": begun["id"], "by": ADA}
        assert (await it.kit.web.poll_device(**poll))["state"] == "waiting"
        await _agree(begun["uri_complete"])
        it.clock.wind(begun["interval"])
        assert await it.kit.web.poll_device(**poll) == {"state": "connected", "account": "ada@example.com"}
        assert (await it.me())["status"] == 200


async def _agree(url: str) -> None:
    """Go through the provider's pages until there is nothing more to fill in."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=20) as browser:
        answer = await browser.get(url)
        while found := _ACTION.findall(answer.text):
            form = dict(_HIDDEN.findall(answer.text)) | {"login": "ada", "password": "anything"}
            answer = await browser.post(urljoin(str(answer.url), html.unescape(found[0])), data=form)
            assert answer.status_code == 200, answer.text
