"""Sign-in through a provider that somebody else wrote: what we say to it, it takes; what it says, we take."""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from freehold.app.clock import SystemClock
from freehold.core.ceremonies import Claims
from freehold.core.errors import Denied, Invalid
from tests.gateways import Kit, running
from tests.identity.real import CLIENT, MISSING, SECRET, Browser, brought, is_installed, provider

pytestmark = pytest.mark.skipif(not is_installed(), reason=MISSING)

HOME = "http://127.0.0.1:7070"
BACK = f"{HOME}/login/oidc/callback"
VERIFIER = "v" * 64


@asynccontextmanager
async def platform(data: Path, issuer: str, secret: str = SECRET) -> AsyncIterator[Kit]:
    settings = {"oidc_issuer": issuer, "oidc_client_id": CLIENT, "oidc_client_secret": secret}
    async with running(data, SystemClock(), **settings) as kit:
        yield kit


async def signed_in(kit: Kit, nonce: str = "n-1") -> Claims:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    browser = Browser(HOME)
    url = await kit.web.oidc_start(state="s-1", nonce="n-1", challenge=challenge, redirect_uri=BACK)
    back = brought(await browser.sign_in(url, "ada"))
    await browser.close()
    assert back["state"] == "s-1"
    return await kit.web.oidc_exchange(
        code=back["code"], verifier=VERIFIER, nonce=nonce, redirect_uri=BACK, issuer=back["iss"]
    )


@pytest.mark.parametrize("path", ["", "/realms/one"])
async def test_a_real_provider_tells_who_came_and_their_groups(tmp_path: Path, path: str) -> None:
    async with provider(HOME, path=path) as issuer, platform(tmp_path, issuer) as kit:
        assert await signed_in(kit) == Claims(
            issuer=issuer,
            subject="ada",
            email="ada@example.com",
            verified=True,
            name="Ada",
            groups=frozenset({"staff", "acme-admins"}),
        )
        assert "oidc.exchange" in [link["action"] for link in await kit.web.audit(None)]


async def test_the_platforms_secret_stands_in_where_no_setting_holds_it(tmp_path: Path) -> None:
    async with provider(HOME) as issuer, platform(tmp_path, issuer, secret="") as kit:
        with pytest.raises(Denied):
            await signed_in(kit)
        await kit.web.set_secret(None, "oidc", SECRET, by="tester")
        assert (await signed_in(kit)).subject == "ada"


async def test_a_real_token_for_another_nonce_is_refused(tmp_path: Path) -> None:
    async with provider(HOME) as issuer, platform(tmp_path, issuer) as kit:
        with pytest.raises(Denied, match="nonce"):
            await signed_in(kit, nonce="n-2")


async def test_a_platform_without_a_provider_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        with pytest.raises(Invalid) as refused:
            await kit.web.oidc_goodbye(redirect_uri=HOME)
        assert refused.value.code == "no_oidc"
