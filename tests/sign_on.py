"""A platform whose people sign in at a provider, which does as the test says."""

import html
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from sqlalchemy import select

from freehold.audit.database import table as audit_table
from freehold.core.people import Person
from freehold.core.tenants import Tenant
from freehold.testing.clock import FakeClock
from freehold.testing.identity import CLIENT, SECRET, FakeProvider
from freehold.web.building import build
from tests.gateways import running
from tests.webs import Web, made

HOME = "https://agents.example.com"
GROUPS = "admins=operator,auditors=auditor,acme-admins=acme:admin,acme-readers=acme:viewer,acme-owners=acme:owner"


@dataclass
class Scene:
    provider: FakeProvider
    web: Web

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=build(self.web.state), client=("203.0.113.5", 1))
        async with httpx.AsyncClient(transport=transport, base_url=HOME) as browser:
            yield browser

    async def out(self, browser: httpx.AsyncClient, place: str = "/") -> dict[str, str]:
        """Send a browser to the provider, and return what it brings back."""
        sent = await browser.get("/login/oidc", params={"next": place})
        assert sent.status_code == 302, sent.text
        assert sent.headers["location"].startswith(f"{self.provider.issuer}/auth?")
        return self.provider.agree(sent.headers["location"])

    async def back(self, browser: httpx.AsyncClient, brought: dict[str, str]) -> httpx.Response:
        return await browser.get("/login/oidc/callback", params=brought)

    async def come(self) -> httpx.Response:
        async with self.browser() as browser:
            return await self.back(browser, await self.out(browser))

    async def me(self) -> Person:
        """Sign in and return who that is now."""
        answer = await self.come()
        assert answer.status_code == 303, answer.text
        with self.web.state.store.read() as platform:
            found = platform.people.by_email(str(self.provider.person["email"]))
        assert found is not None
        return found

    def role(self, tenant: Tenant, who: Person) -> str:
        with self.web.state.store.tenant(tenant.id).read() as scope:
            found = scope.members.of_person(who.id)
        return str(found.role) if found else ""

    def actions(self, tenant: str = "") -> list[str]:
        with self.web.state.store.read() as platform:
            query = select(audit_table.c.action).where(audit_table.c.tenant == tenant)
            return list(platform.connection.execute(query.order_by(audit_table.c.position)).scalars())


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Scene]:
    """Give the scene while the block lasts."""
    provider, gateway = FakeProvider(FakeClock().now), SimpleNamespace()
    async with provider.serving():
        stated: dict[str, Any] = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT}
        web = made(folder / "web", gateway=gateway, public_url=HOME, oidc_groups=GROUPS, **stated)
        provider.now = web.clock.now
        async with running(folder / "gateway", web.clock, **stated, oidc_client_secret=SECRET) as kit:
            for name in ("oidc_start", "oidc_exchange", "oidc_goodbye", "oidc_ended"):
                setattr(gateway, name, getattr(kit.web, name))
            yield Scene(provider, web)


def refused(answer: httpx.Response) -> str:
    """Return why somebody was not let in."""
    assert answer.status_code == 401
    assert SECRET not in answer.text
    assert "__Host-freehold=" not in str(answer.headers.get_list("set-cookie"))
    assert "This sign-in is not accepted." in answer.text
    return html.unescape(answer.text)
