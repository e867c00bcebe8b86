"""The whole of signing in at a real provider: the button, its pages, our session; and out again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from freehold.app.clock import SystemClock
from freehold.core.people import PlatformRole
from freehold.web.building import build
from tests.crowd import person
from tests.gateways import running
from tests.identity.real import ADA, CLIENT, MISSING, SECRET, Browser, is_installed, provider
from tests.webs import Web, made

pytestmark = pytest.mark.skipif(not is_installed(), reason=MISSING)

HOME = "https://agents.example.com"
GROUPS = "staff=auditor,acme-admins=acme:admin"


@dataclass
class Scene:
    web: Web
    ours: httpx.AsyncClient
    browser: Browser

    async def sign_in(self, who: str) -> httpx.Response:
        sent = await self.ours.get("/login/oidc", params={"next": "/account"})
        return await self.ours.get(await self.browser.sign_in(sent.headers["location"], who))


@asynccontextmanager
async def scene(data: Path, **accounts: dict[str, Any]) -> AsyncIterator[Scene]:
    gateway = SimpleNamespace()
    async with provider(HOME, path="", **accounts) as issuer:
        stated: dict[str, Any] = {"oidc_issuer": issuer, "oidc_client_id": CLIENT}
        async with running(data / "gateway", SystemClock(), **stated, oidc_client_secret=SECRET) as kit:
            for name in ("oidc_start", "oidc_exchange", "oidc_goodbye"):
                setattr(gateway, name, getattr(kit.web, name))
            web = made(data / "web", gateway=gateway, public_url=HOME, oidc_groups=GROUPS, **stated)
            transport, browser = httpx.ASGITransport(app=build(web.state)), Browser(HOME)
            async with httpx.AsyncClient(transport=transport, base_url=HOME) as ours:
                yield Scene(web, ours, browser)
            await browser.close()


async def test_somebody_signs_in_at_the_provider_and_is_here_what_their_groups_say(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        acme = it.web.tenant("acme")
        answer = await it.sign_in("ada")
        assert (answer.status_code, answer.headers["location"]) == (303, "/account")
        me = (await it.ours.get("/api/v1/me")).json()
        with it.web.state.store.read() as platform:
            ada = platform.people.by_email("ada@example.com")
        assert ada is not None
        assert ada.platform_role is PlatformRole.AUDITOR
        with it.web.state.store.tenant(acme.id).read() as scope:
            found = scope.members.of_person(ada.id)
    assert found is not None
    assert found.role == "admin"
    assert "ada@example.com" in str(me)


async def test_an_address_that_the_provider_has_not_verified_opens_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, eve=ADA | {"email_verified": False}) as it:
        person(it.web, "ada@example.com", platform_role=PlatformRole.OPERATOR)
        assert (await it.sign_in("eve")).status_code == 401


async def test_two_accounts_with_one_address_are_not_one_person(tmp_path: Path) -> None:
    async with scene(tmp_path, ada=ADA, eve=ADA) as it:
        assert (await it.sign_in("ada")).status_code == 303
        it.browser = Browser(HOME)
        assert (await it.sign_in("eve")).status_code == 401
        await it.browser.close()


async def test_signing_out_of_the_provider_leads_back_here(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.sign_in("ada")
        leaving = (await it.ours.get("/login/oidc/leave")).headers["location"]
        assert urlsplit(await it.browser.sign_out(leaving)).path == "/sign-in"
