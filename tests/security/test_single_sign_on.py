"""Sign-in by a provider, over HTTP: who comes in, as what, and who does not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import select, update

from freehold.core.people import PersonState, PlatformRole
from freehold.store.ceremonies import ceremony_table, identity_table
from freehold.tenants.marks import mark_of
from freehold.testing.identity import CLIENT, SECRET
from freehold.web.building import build
from tests.crowd import person
from tests.sign_on import HOME, Scene, refused, staged
from tests.webs import made


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with staged(tmp_path) as found:
        yield found


async def test_whoever_the_provider_vouches_for_is_signed_in_as_the_person_with_that_address(scene: Scene) -> None:
    ada = person(scene.web, "ada@example.com")
    async with scene.browser() as browser:
        answer = await scene.back(browser, await scene.out(browser, "/approve/apr_1"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/approve/apr_1")
        assert (await browser.get("/api/v1/passkeys")).status_code == 200
    with scene.web.state.store.read() as platform:
        session = platform.sessions.of(ada.id)[0]
    assert (session.way, session.strong, session.address) == ("oidc", False, "203.0.113.5")
    assert scene.actions()[-2:] == ["identity.bind", "person.sign_in"]


@pytest.mark.parametrize("place", ["//evil.example.com", "https://evil.example.com", "/\\evil.example.com", "x", ""])
async def test_nobody_is_led_to_another_site(scene: Scene, place: str) -> None:
    person(scene.web, "ada@example.com")
    async with scene.browser() as browser:
        answer = await scene.back(browser, await scene.out(browser, place))
    assert answer.headers["location"] == "/account"


async def test_what_the_provider_is_shown_is_the_least(scene: Scene) -> None:
    async with scene.browser() as browser:
        sent = await browser.get("/login/oidc")
    asked = parse_qs(urlsplit(sent.headers["location"]).query)
    assert asked["redirect_uri"] == [f"{HOME}/login/oidc/callback"]
    assert asked["scope"] == ["openid email profile groups"]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["state"][0]) == 43
    assert SECRET not in str(sent.headers)


async def test_neither_state_nor_nonce_nor_verifier_is_in_the_database(scene: Scene) -> None:
    person(scene.web, "ada@example.com")
    async with scene.browser() as browser:
        brought = await scene.out(browser)
        with scene.web.state.store.read() as platform:
            kept = str([tuple(row) for row in platform.connection.execute(select(ceremony_table))])
        await scene.back(browser, brought)
    assert brought["state"] not in kept
    assert scene.provider.sent[0]["code_verifier"] not in kept


async def test_a_state_works_once(scene: Scene) -> None:
    person(scene.web, "ada@example.com")
    async with scene.browser() as browser:
        brought = await scene.out(browser)
        assert (await scene.back(browser, brought)).status_code == 303
        assert "came back before" in refused(await scene.back(browser, brought))
    assert len(scene.provider.sent) == 1


async def test_a_state_of_another_browser_signs_nobody_in(scene: Scene) -> None:
    person(scene.web, "ada@example.com")
    async with scene.browser() as eve, scene.browser() as ada:
        await scene.out(ada)
        assert "not begun in this browser" in refused(await scene.back(ada, await scene.out(eve)))
    async with scene.browser() as nobody, scene.browser() as eve:
        refused(await scene.back(nobody, await scene.out(eve)))
    assert scene.provider.sent == []
    assert scene.actions()[-1] == "person.sign_in_failed"


@pytest.mark.parametrize("seconds", [600, 100_000])
async def test_who_comes_back_too_late_begins_again(scene: Scene, seconds: int) -> None:
    person(scene.web, "ada@example.com")
    async with scene.browser() as browser:
        brought = await scene.out(browser)
        scene.web.clock.wind(seconds)
        refused(await scene.back(browser, brought))


async def test_a_ceremony_that_web_did_not_write_is_none(scene: Scene) -> None:
    person(scene.web, "ada@example.com")
    async with scene.browser() as browser:
        brought = await scene.out(browser)
        with scene.web.state.store.write() as platform:
            later = scene.web.clock.now() + timedelta(days=1)
            platform.connection.execute(update(ceremony_table).values(expires_at=later))
        refused(await scene.back(browser, brought))


@pytest.mark.parametrize(
    "changes", [{"iss": "https://evil.example.com"}, {"code": ""}, {"error": "access_denied"}, {"state": "x" * 43}]
)
async def test_what_comes_back_otherwise_than_it_went_is_refused(scene: Scene, changes: dict[str, str]) -> None:
    person(scene.web, "ada@example.com")
    async with scene.browser() as browser:
        refused(await scene.back(browser, await scene.out(browser) | changes))
    assert scene.provider.sent == []


async def test_a_code_of_somebody_elses_sign_in_is_refused(scene: Scene) -> None:
    person(scene.web, "ada@example.com")
    async with scene.browser() as ada, scene.browser() as eve:
        theirs = await scene.out(eve)
        refused(await scene.back(ada, await scene.out(ada) | {"code": theirs["code"]}))


@pytest.mark.parametrize("claims", [{"email_verified": False}, {"email": ""}, {"email": "a@b@c"}, {"email": ["x"]}])
async def test_an_address_nobody_vouches_for_opens_nothing(scene: Scene, claims: dict[str, Any]) -> None:
    person(scene.web, "ada@example.com")
    scene.provider.person |= claims
    scene.provider.groups = ["admins"]
    refused(await scene.come())


async def test_somebody_closed_is_refused(scene: Scene) -> None:
    closed = person(scene.web, "ada@example.com", state=PersonState.CLOSED)
    scene.provider.groups = ["admins"]
    refused(await scene.come())
    with scene.web.state.store.write() as platform:
        platform.people.save(replace(closed, state=PersonState.ACTIVE, platform_role=PlatformRole.OPERATOR))
    refused(await scene.come())  # the worker can write that, and it counts for nothing


async def test_another_account_with_the_same_address_is_refused(scene: Scene) -> None:
    person(scene.web, "ada@example.com")
    await scene.me()
    scene.provider.person["sub"] = "u-2"
    assert "another account" in refused(await scene.come())


async def test_an_account_stays_the_person_it_was_whatever_address_it_tells(scene: Scene) -> None:
    ada, eve = person(scene.web, "ada@example.com"), person(scene.web, "eve@example.com")
    await scene.me()
    scene.provider.person["email"] = "eve@example.com"
    assert (await scene.come()).status_code == 303
    with scene.web.state.store.read() as platform:
        assert len(platform.sessions.of(ada.id)) == 2
        assert platform.sessions.of(eve.id) == []


async def test_a_binding_that_the_worker_wrote_lets_nobody_in(scene: Scene) -> None:
    person(scene.web, "ada@example.com")
    root = person(scene.web, "root@example.com", platform_role=PlatformRole.OPERATOR)
    await scene.me()
    with scene.web.state.store.write() as platform:
        platform.connection.execute(update(identity_table).values(person=root.id))
    refused(await scene.come())


async def test_a_session_that_the_browser_showed_before_is_left(scene: Scene) -> None:
    ada = person(scene.web, "ada@example.com")
    async with scene.browser() as browser:
        for _ in range(3):
            await scene.back(browser, await scene.out(browser))
    with scene.web.state.store.read() as platform:
        assert len(platform.sessions.of(ada.id)) == 1


async def test_signing_out_at_the_provider_ends_what_was_opened_by_it_until_then(scene: Scene) -> None:
    ada = person(scene.web, "ada@example.com")
    await scene.me()
    token = scene.provider.goodbye_token()
    async with scene.browser() as provider:
        assert (await provider.post("/login/oidc/ended", data={"logout_token": token})).status_code == 200
        with scene.web.state.store.read() as platform:
            assert platform.sessions.of(ada.id) == []
        scene.web.clock.wind(120)
        await scene.me()
        await provider.post("/login/oidc/ended", data={"logout_token": token})
    with scene.web.state.store.read() as platform:
        assert len(platform.sessions.of(ada.id)) == 1


@pytest.mark.parametrize("form", [{}, {"logout_token": ""}, {"logout_token": "x.y.z"}, {"logout_token": "x" * 9000}])
async def test_nobody_but_the_provider_ends_sessions(scene: Scene, form: dict[str, str]) -> None:
    ada = person(scene.web, "ada@example.com")
    await scene.me()
    async with scene.browser() as anybody:
        answer = await anybody.post("/login/oidc/ended", data=form)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_logout_token")
    with scene.web.state.store.read() as platform:
        assert len(platform.sessions.of(ada.id)) == 1


async def test_signing_out_leads_to_the_provider_and_back(scene: Scene) -> None:
    async with scene.browser() as browser:
        answer = await browser.get("/login/oidc/leave")
    assert answer.headers["location"].startswith(f"{scene.provider.issuer}/end?client_id={CLIENT}")


async def test_the_ways_there_are_can_be_asked_for(scene: Scene, tmp_path: Path) -> None:
    async with scene.browser() as browser:
        told = (await browser.get("/api/v1/login/ways")).json()
    assert told == {"claimed": False, "code": True, "oidc": {"name": "single sign-on"}, "passkey": True}
    scene.web = made(tmp_path / "plain", public_url="http://agents.example.com")
    transport = httpx.ASGITransport(app=build(scene.web.state))
    async with httpx.AsyncClient(transport=transport, base_url="http://agents.example.com") as browser:
        told = (await browser.get("/api/v1/login/ways")).json()
        assert told == {"claimed": False, "code": True, "oidc": None, "passkey": False}
        assert (await browser.get("/login/oidc")).status_code == 404


async def test_a_provider_that_is_away_is_told_as_that(scene: Scene) -> None:
    person(scene.web, "ada@example.com")
    async with scene.browser() as browser:
        brought = await scene.out(browser)
        scene.provider.lies.status = 503
        answer = await scene.back(browser, brought)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_a_person_whose_row_was_widened_is_refused(scene: Scene) -> None:
    ada = person(scene.web, "ada@example.com")
    with scene.web.state.store.write() as platform:
        platform.people.save(replace(ada, platform_role=PlatformRole.OPERATOR))
    refused(await scene.come())
    with scene.web.state.store.write() as platform:
        platform.people.save(replace(ada, seal=mark_of(scene.web.state.seal, ada)))
    assert (await scene.come()).status_code == 303
