"""A connection that somebody signs in: consent, calls with its token, refreshes, and the end of it."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from freehold.core.effects import EffectState
from freehold.core.errors import Denied, FreeholdError, Invalid, NotFound, Unavailable
from tests.consents import ADA, BACK, CLIENT_SECRET, Scene, config, named, scene
from tests.gateways import TENANT, effect, work

HOUR = timedelta(hours=1)


async def get(it: Scene, number: int = 1) -> dict[str, Any]:
    outcome = await it.kit.worker.submit(work(), effect("get", "crm", key=f"run_1/1/1/{number}", path="/things"))
    return outcome.result or {"error": outcome.error}


def forms(it: Scene, grant: str = "refresh_token") -> list[dict[str, str]]:
    return [form for form in it.consents.asked if form["grant_type"] == grant]


async def test_a_consent_opens_calls_with_the_token(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        begun = await it.kit.web.start_sign_in(TENANT, "crm", by=ADA, redirect_uri=BACK)
        assert (begun["provider"], begun["scopes"]) == ("127.0.0.1", ["things"])
        told = await it.came_back(it.consents.agree(begun["url"]))
        assert told == {"tenant": TENANT, "connection": "crm", "account": "", "scopes": ["things"]}
        outcome = await it.kit.worker.submit(work(), effect("get", "crm", path="/things"))
        stands = await it.state()
        shown = await it.kit.web.sign_in(begun["id"])
    assert outcome.state is EffectState.DONE
    assert (outcome.result or {})["status"] == 200
    assert it.server.heard[-1].header("authorization") == ["Bearer access-1-5fb1c9"]
    assert (stands["state"], stands["refreshable"], stands["connected_by"]) == ("connected", True, ADA)
    assert shown["state"] == "connected"


async def test_without_a_consent_a_call_says_who_has_to_do_what(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        with pytest.raises(Denied) as refused:
            await get(it)
        assert refused.value.code == "not_connected"
        assert "freehold connection connect crm" in refused.value.remedy
        assert (await it.state())["state"] == "none"
        assert it.server.heard == []


@pytest.mark.parametrize("how", ["as_form", "packs"])
async def test_an_answer_may_come_as_a_form_or_packed(tmp_path: Path, how: str) -> None:
    async with scene(tmp_path) as it:
        setattr(it.consents, how, True)
        await it.signed_in()
        assert (await get(it))["status"] == 200
        assert (await it.state())["refreshable"]


async def test_twenty_calls_at_once_on_an_old_token_are_one_refresh(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        it.clock.wind(HOUR.total_seconds())
        told = await asyncio.gather(*(get(it, number) for number in range(20)), *(it.ready() for _ in range(20)))
        again = await get(it, 21)
    assert [one["status"] for one in told[:20] if one] == [200] * 20
    assert again["status"] == 200
    assert [form["refresh_token"] for form in forms(it)] == ["refresh-1-8ed2a7"]


async def test_each_refresh_goes_by_the_token_that_the_last_one_brought(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        for number in (1, 2, 3):
            it.clock.wind(HOUR.total_seconds() - 30)
            assert (await get(it, number))["status"] == 200
    assert [form["refresh_token"] for form in forms(it)] == [f"refresh-{number}-8ed2a7" for number in (1, 2, 3)]


async def test_a_refresh_token_that_is_not_replaced_goes_on(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        it.consents.rotates = it.consents.refreshes = False
        for number in (1, 2):
            it.clock.wind(HOUR.total_seconds())
            assert (await get(it, number))["status"] == 200
    assert [form["refresh_token"] for form in forms(it)] == ["refresh-1-8ed2a7"] * 2


async def test_a_consent_taken_back_is_an_account_that_ran_out_and_people_are_told_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        it.consents.good.clear()
        it.clock.wind(HOUR.total_seconds())
        for number in (1, 2):
            with pytest.raises(Denied, match="run out") as refused:
                await get(it, number)
            assert refused.value.code == "not_connected"
        assert (await it.state())["state"] == "expired"
        assert "sign_in.expire" in await it.kit.actions()
        [warning] = await it.kit.web.sign_in_warnings()
        assert (warning["tenant"], warning["connection"], warning["what"]) == (TENANT, "crm", "expired")
        assert warning["connected_by"] == ADA
        await it.kit.web.acked([warning["id"]])
        assert await it.kit.web.sign_in_warnings() == []
        await it.signed_in()
        assert (await get(it, 3))["status"] == 200
    assert len(forms(it)) == 1


async def test_while_the_provider_is_away_a_call_is_tried_again_and_nothing_is_lost(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        before = await get(it)
        it.clock.wind(HOUR.total_seconds())
        it.consents.status = 503
        with pytest.raises(Unavailable) as away:
            await get(it, 2)
        assert away.value.code == "oauth_away"
        assert await get(it) == before, "what was done is told without asking anybody"
        it.consents.status = 200
        assert (await get(it, 2))["status"] == 200


async def test_a_client_the_provider_does_not_know_is_no_end_of_the_account(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        it.clock.wind(HOUR.total_seconds())
        await it.kit.web.set_secret(TENANT, "crm-client", "another-secret-6d0e", by="key:1")
        with pytest.raises(Denied, match="invalid_client") as refused:
            await get(it)
        assert refused.value.code == "oauth_refused"
        await it.kit.web.set_secret(TENANT, "crm-client", CLIENT_SECRET, by="key:1")
        assert (await get(it))["status"] == 200


async def test_an_account_that_cannot_be_prolonged_is_warned_of_before_it_ends_and_when_it_has(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        it.consents.refreshes, it.consents.lasts = False, int(timedelta(days=10).total_seconds())
        await it.signed_in()
        assert await it.kit.web.sign_in_warnings() == []
        it.clock.wind(timedelta(days=8).total_seconds())
        [soon] = await it.kit.web.sign_in_warnings()
        assert soon["what"] == "expires"
        await it.kit.web.acked([soon["id"]])
        assert (await get(it))["status"] == 200
        it.clock.wind(timedelta(days=2).total_seconds())
        with pytest.raises(Denied):
            await get(it, 2)
        await it.kit.gateway.accounts.watch()
        [over] = await it.kit.web.sign_in_warnings()
        assert over["what"] == "expired"
        assert over["id"] != soon["id"]


async def test_an_account_nobody_uses_is_asked_for_once_a_day(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        for hours in (10, 10, 10):
            it.clock.wind(hours * HOUR.total_seconds())
            await it.kit.gateway.accounts.watch()
        assert len(forms(it)) == 1
        it.consents.good.clear()
        it.clock.wind(25 * HOUR.total_seconds())
        await it.kit.gateway.accounts.watch()
        assert (await it.state())["state"] == "expired"


async def test_a_token_that_the_api_does_not_know_any_more_is_prolonged_before_the_next_call(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        it.clock.wind(timedelta(minutes=10).total_seconds())
        it.consents.good.discard("access-1-5fb1c9")
        assert (await get(it))["status"] == 401
        assert (await get(it, 2))["status"] == 200
        it.consents.good.discard("access-2-5fb1c9")
        assert [(await get(it, number))["status"] for number in (3, 4)] == [401, 401], "it is asked for once in a while"
    assert len(forms(it)) == 1


async def test_an_account_of_the_platforms_is_prolonged_by_a_tenants_call(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.kit.web.set_secret(None, "crm-client", CLIENT_SECRET, by="key:1")
        await it.kit.web.create_connection(None, config=config(it.server.url), **named() | {"name": "all"})
        begun = await it.kit.web.start_sign_in(None, "all", by=ADA, redirect_uri=BACK)
        assert (await it.came_back(it.consents.agree(begun["url"])))["tenant"] is None
        await it.kit.publish(tools={"all.get": "allow"}, version="ver_2")
        it.clock.wind(HOUR.total_seconds())
        asked = effect("get", "all", path="/things")
        outcome = await it.kit.worker.submit(work(version="ver_2"), asked)
        assert (outcome.result or {})["status"] == 200
        assert len(forms(it)) == 1
        with pytest.raises(NotFound):
            await it.kit.web.disconnect(TENANT, "all", by=ADA)


async def test_a_provider_that_is_away_is_not_asked_every_few_minutes_about_what_nobody_uses(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        it.consents.status = 503
        it.clock.wind(25 * HOUR.total_seconds())
        for _ in range(12):
            await it.kit.gateway.accounts.watch()
            it.clock.wind(600)
        assert len(forms(it)) == 1
        assert (await it.state())["state"] == "connected"
        it.consents.status = 200
        it.clock.wind(6 * HOUR.total_seconds())
        await it.kit.gateway.accounts.watch()
        assert len(forms(it)) == 2


async def test_while_effects_are_paused_nothing_is_refreshed(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        it.clock.wind(HOUR.total_seconds())
        await it.kit.web.pause_effects(TENANT, paused=True, by=ADA)
        with pytest.raises(Unavailable) as paused:
            await it.ready()
        assert paused.value.code == "effects_paused"
        assert forms(it) == []


@pytest.mark.parametrize("status", [200, 503])
async def test_letting_go_takes_the_tokens_back_and_forgets_them_whatever_the_provider_says(
    tmp_path: Path, status: int
) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        it.consents.status = status
        assert await it.kit.web.disconnect(TENANT, "crm", by=ADA) == {"revoked": status == 200}
        assert (await it.state())["state"] == "none"
        assert await it.kit.web.disconnect(TENANT, "crm", by=ADA) == {"revoked": False}
        with pytest.raises(Denied):
            await get(it)
    assert it.consents.revoked == ["refresh-1-8ed2a7", "access-1-5fb1c9"]


async def test_a_connection_made_anew_under_the_name_has_no_account(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        await it.kit.web.delete_connection(TENANT, "crm", by=ADA)
        await it.kit.web.create_connection(TENANT, config=config(it.server.url), **named())
        assert (await it.state())["state"] == "none"
    assert "access-1-5fb1c9" in it.consents.revoked


async def test_tokens_go_to_no_other_provider_than_the_one_that_gave_them(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        told: dict[str, Any] = config(it.server.url)["oauth"]
        await it.kit.web.change_connection(TENANT, "crm", config={"oauth": told | {"params": {"a": "b"}}}, by=ADA)
        assert (await it.state())["state"] == "connected"
        elsewhere = told | {"token": "https://evil.example.com/token"}
        await it.kit.web.change_connection(TENANT, "crm", config={"oauth": elsewhere}, by=ADA)
        assert (await it.state())["state"] == "none"


async def test_tokens_go_to_no_other_server_than_the_one_they_were_given_for(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        there = config(it.server.url)["base_url"]
        await it.kit.web.change_connection(TENANT, "crm", config={"base_url": f"{there}/v3"}, by=ADA)
        assert (await it.state())["state"] == "connected"
        await it.kit.web.change_connection(TENANT, "crm", config={"base_url": "https://evil.example.com/v2"}, by=ADA)
        assert (await it.state())["state"] == "none"


async def test_the_tokens_are_secrets_that_nobody_lists_names_or_reads(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        it.clock.wind(HOUR.total_seconds())
        await get(it)
        assert [one["name"] for one in await it.kit.web.list_secrets(TENANT)] == ["crm-client"]
        told = config(it.server.url) | {"oauth": None, "inject": "header:X-Token"}
        stolen = named() | {"name": "thief", "secret": "oauth:crm:access"}
        with pytest.raises(NotFound):
            await it.kit.web.create_connection(
                TENANT, config={name: value for name, value in told.items() if value}, **stolen
            )
        with pytest.raises(NotFound):
            await it.kit.web.delete_secret(TENANT, "oauth:crm:access", by=ADA)
        with pytest.raises(Invalid):
            await it.kit.web.set_secret(TENANT, "oauth:crm:access", "mine", by=ADA)
        with pytest.raises(FreeholdError, match="uses the secret"):
            await it.kit.web.delete_secret(TENANT, "crm-client", by=ADA)
        record = json.dumps(list(await it.kit.web.audit(TENANT)))
        assert (await it.kit.web.scan_secrets(None))["faults"] == []
        stored = b"".join(file.read_bytes() for file in (tmp_path / "gateway").iterdir() if file.is_file())
    for token in ("access-1", "access-2", "refresh-1", "refresh-2", CLIENT_SECRET):
        assert token not in record
        assert token.encode() not in stored
