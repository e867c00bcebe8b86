"""What a sign-in provider says is believed only if it is signed, meant for us, fresh, and about one person."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc.jwk import ECKey

from freehold.core.ceremonies import Claims
from freehold.core.errors import Denied, Invalid, Unavailable
from freehold.drivers.identity.oidc.driver import OpenIdProvider
from freehold.gateway.ports import Credential
from freehold.testing.clock import FakeClock
from freehold.testing.identity import CLIENT, SECRET, FakeProvider

BACK = "https://agents.example.com/login/oidc/callback"
VERIFIER, NONCE = "v" * 64, "n-1"


@dataclass
class Desk:
    provider: FakeProvider
    driver: OpenIdProvider
    clock: FakeClock

    async def sent(self) -> dict[str, str]:
        """Send somebody to the provider and return what they bring back."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
        url = await self.driver.start(state="s-1", nonce=NONCE, challenge=challenge, redirect_uri=BACK)
        return self.provider.agree(url)

    async def claims(self, brought: dict[str, str] | None = None, **changes: Any) -> Claims:
        brought = brought or await self.sent()
        said: dict[str, Any] = {
            "code": brought["code"],
            "verifier": VERIFIER,
            "nonce": NONCE,
            "redirect_uri": BACK,
            "issuer": brought.get("iss"),
            "credential": Credential(SECRET),
        }
        return await self.driver.exchange(**(said | changes))


@asynccontextmanager
async def opened(path: str = "", **options: Any) -> AsyncIterator[Desk]:
    clock = FakeClock()
    provider = FakeProvider(clock.now, path=path)
    async with provider.serving():
        driver = OpenIdProvider(provider.issuer, CLIENT, clock, **options)
        try:
            yield Desk(provider, driver, clock)
        finally:
            await driver.close()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened() as found:
        yield found


async def test_an_honest_provider_tells_who_came(desk: Desk) -> None:
    desk.provider.groups = ["staff", "admins"]
    assert await desk.claims() == Claims(
        issuer=desk.provider.issuer,
        subject="u-1",
        email="ada@example.com",
        verified=True,
        name="Ada",
        groups=frozenset({"staff", "admins"}),
    )


async def test_an_issuer_may_have_a_path() -> None:
    async with opened(path="/realms/one") as desk:
        assert (await desk.claims()).issuer.endswith("/realms/one")


def _forged(desk: Desk) -> None:
    desk.provider.lies.key = ECKey.generate_key("P-256")


LIES: dict[str, Callable[[Desk], object]] = {
    "another issuer in the token": lambda it: it.provider.lies.claims.update(iss="https://evil.example.com"),
    "no issuer in the token": lambda it: it.provider.lies.claims.update(iss=None),
    "a token for another client": lambda it: it.provider.lies.claims.update(aud="somebody"),
    "a token for many, of which we are one": lambda it: it.provider.lies.claims.update(aud=[CLIENT, "somebody"]),
    "a token that another client asked for": lambda it: it.provider.lies.claims.update(azp="somebody"),
    "another nonce": lambda it: it.provider.lies.claims.update(nonce="n-2"),
    "no nonce": lambda it: it.provider.lies.claims.update(nonce=None),
    "an expired token": lambda it: it.provider.lies.claims.update(exp=int(it.clock.now().timestamp()) - 61),
    "a token without end": lambda it: it.provider.lies.claims.update(exp=None),
    "a token from the future": lambda it: it.provider.lies.claims.update(iat=int(it.clock.now().timestamp()) + 61),
    "a time that is a word": lambda it: it.provider.lies.claims.update(exp="tomorrow"),
    "nobody": lambda it: it.provider.lies.claims.update(sub=""),
    "a number for a person": lambda it: it.provider.lies.claims.update(sub=7),
    "the hash of another access token": lambda it: it.provider.lies.claims.update(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "no signature": lambda it: setattr(it.provider.lies, "algorithm", "none"),
    "a signature with the public key as a password": lambda it: setattr(it.provider.lies, "algorithm", "HS256"),
    "a key that is not published": _forged,
    "two people at once": lambda it: setattr(it.provider.lies, "subject", "u-2"),
    "another issuer in its metadata": lambda it: it.provider.lies.about.update(issuer="https://evil.example.com"),
    "a token endpoint without TLS": lambda it: it.provider.lies.about.update(token_endpoint="http://id.example.com/t"),
    "only algorithms nobody should use": lambda it: it.provider.lies.about.update(
        id_token_signing_alg_values_supported=["none", "HS256"]
    ),
    "an answer that is no JSON": lambda it: setattr(it.provider.lies, "body", b"<html>"),
    "an answer that is a list": lambda it: setattr(it.provider.lies, "body", b"[]"),
    "an endless answer": lambda it: setattr(it.provider.lies, "body", b" " * (2 << 20)),
    "an answer without an ID token": lambda it: setattr(it.provider.lies, "body", b'{"access_token": "x"}'),
    "an ID token that is none": lambda it: setattr(it.provider.lies, "body", b'{"access_token":"x","id_token":"y"}'),
    "a redirect with our secret": lambda it: setattr(it.provider.lies, "status", 307),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_provider_that_lies_is_refused(desk: Desk, lie: str) -> None:
    LIES[lie](desk)
    with pytest.raises(Denied) as refused:
        await desk.claims()
    assert (refused.value.code, refused.value.status) == ("oidc_refused", 401)
    assert SECRET not in refused.value.message
    assert refused.value.remedy


@pytest.mark.parametrize("issuer", [None, "https://evil.example.com", ""])
async def test_whom_another_provider_sent_back_is_refused_before_the_code_is_used(
    desk: Desk, issuer: str | None
) -> None:
    with pytest.raises(Denied, match="Another provider"):
        await desk.claims(issuer=issuer)
    assert desk.provider.sent == []


async def test_a_provider_that_does_not_name_itself_need_not(desk: Desk) -> None:
    desk.provider.lies.about.update(authorization_response_iss_parameter_supported=False)
    assert (await desk.claims(issuer=None)).subject == "u-1"


async def test_a_code_is_bound_to_its_verifier_and_works_once(desk: Desk) -> None:
    brought = await desk.sent()
    with pytest.raises(Denied):
        await desk.claims(brought, verifier="w" * 64)
    with pytest.raises(Denied):
        await desk.claims(brought)


async def test_clocks_may_differ_by_a_minute(desk: Desk) -> None:
    desk.provider.lies.claims.update(exp=int(desk.clock.now().timestamp()) - 55)
    assert (await desk.claims()).subject == "u-1"


async def test_a_new_key_of_the_provider_is_found_and_looked_for_seldom(desk: Desk) -> None:
    await desk.claims()
    desk.clock.wind(11)
    desk.provider.rotate()
    assert (await desk.claims()).subject == "u-1"
    desk.provider.rotate()
    for _ in range(5):
        with pytest.raises(Denied):
            await desk.claims()
    assert desk.provider.asked.count("keys") == 2


async def test_an_address_the_provider_does_not_vouch_for_is_told_as_such(desk: Desk) -> None:
    desk.provider.person["email_verified"] = False
    assert not (await desk.claims()).verified
    del desk.provider.person["email_verified"]
    assert not (await desk.claims()).verified


async def test_silence_counts_as_a_yes_only_where_the_operator_said_so() -> None:
    async with opened(trust=True) as desk:
        del desk.provider.person["email_verified"]
        assert (await desk.claims()).verified
        desk.provider.person["email_verified"] = False
        assert not (await desk.claims()).verified


async def test_a_provider_that_is_away_is_a_matter_of_time(desk: Desk) -> None:
    desk.provider.lies.status = 503
    with pytest.raises(Unavailable) as away:
        await desk.claims()
    assert away.value.code == "oidc_away"


@pytest.mark.parametrize("issuer", ["http://id.example.com", "id.example.com", "https://u:p@id.example.com", ""])
def test_an_issuer_without_tls_is_no_provider(issuer: str) -> None:
    with pytest.raises(Invalid, match="FREEHOLD_OIDC_ISSUER"):
        OpenIdProvider(issuer, CLIENT, FakeClock())


async def test_the_provider_may_say_that_somebody_left(desk: Desk) -> None:
    assert (await desk.driver.ended(desk.provider.goodbye_token())) == ("u-1", int(desk.clock.now().timestamp()))


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "n"}, {"events": {}}, {"aud": "somebody"}, {"iss": "x"}, {"sub": ""}, {"exp": 1}, {"iat": 1 << 40}],
)
async def test_what_is_no_logout_token_ends_nothing(desk: Desk, claims: dict[str, Any]) -> None:
    with pytest.raises(Denied):
        await desk.driver.ended(desk.provider.goodbye_token(**claims))


async def test_signing_out_of_the_provider_tells_it_where_to_come_back_to(desk: Desk) -> None:
    url = await desk.driver.goodbye(redirect_uri="https://agents.example.com/")
    assert url.startswith(
        f"{desk.provider.issuer}/end?client_id={CLIENT}&post_logout_redirect_uri=https%3A%2F%2Fagents"
    )
