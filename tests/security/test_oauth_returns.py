"""Who comes back from a provider of accounts, with what, and how often: all but the one right way leads nowhere."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Conflict, Denied, FreeholdError, NotFound, Unavailable
from tests.consents import ADA, BACK, BOB, Scene, config, scene
from tests.gateways import TENANT


async def begun(it: Scene) -> dict[str, str]:
    """Return what a browser brings back from a sign-in that `ADA` began."""
    told = await it.kit.web.start_sign_in(TENANT, "crm", by=ADA, redirect_uri=BACK)
    return it.consents.agree(told["url"])


async def refused(it: Scene, brought: dict[str, str], by: str = ADA) -> FreeholdError:
    with pytest.raises(FreeholdError) as told:
        await it.came_back(brought, by=by)
    assert (await it.state())["state"] == "none"
    return told.value


async def test_somebody_else_with_the_link_is_told_there_is_no_such_sign_in_and_the_right_one_goes_on(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as it:
        brought = await begun(it)
        stolen = await refused(it, brought, by=BOB)
        missing = await refused(it, {"state": "sgn_0.none", "code": "code-0"}, by=BOB)
        assert (stolen.code, stolen.message) == (missing.code, missing.message) == ("unknown_sign_in", stolen.message)
        assert it.consents.asked == []
        assert (await it.came_back(brought))["connection"] == "crm"
        assert "sign_in.refuse" in await it.kit.actions()


@pytest.mark.parametrize("change", ["", "x", "cut", "other"])
async def test_another_state_is_none_of_ours(tmp_path: Path, change: str) -> None:
    async with scene(tmp_path) as it:
        brought, other = await begun(it), await begun(it)
        state = brought["state"]
        wrong = {
            "": "",
            "x": state + "x",
            "cut": state.partition(".")[0],
            "other": state.partition(".")[0] + "." + other["state"].partition(".")[2],
        }
        assert (await refused(it, brought | {"state": wrong[change]})).code == "unknown_sign_in"
        assert it.consents.asked == []


async def test_what_came_back_once_comes_back_no_second_time(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        brought = await begun(it)
        await it.came_back(brought)
        with pytest.raises(Conflict) as over:
            await it.came_back(brought)
        assert over.value.code == "sign_in_over"
    assert len(it.consents.asked) == 1


async def test_after_a_quarter_of_an_hour_nobody_comes_back(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        brought = await begun(it)
        it.clock.wind(timedelta(minutes=15).total_seconds())
        assert (await refused(it, brought)).code == "sign_in_over"
    assert it.consents.asked == []


async def test_a_no_is_a_no_and_ends_the_sign_in(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        brought = await begun(it)
        no = await refused(it, {"state": brought["state"], "error": "access_denied"})
        assert (type(no), no.code) == (Denied, "sign_in_denied")
        assert (await refused(it, brought)).code == "sign_in_over"
        assert (await it.kit.web.sign_in(brought["state"].partition(".")[0]))["state"] == "denied"


@pytest.mark.parametrize("error", ["server_error", "<script>alert(1)</script>", "a" * 5000])
async def test_what_a_provider_says_went_wrong_is_repeated_only_where_it_is_a_word(tmp_path: Path, error: str) -> None:
    async with scene(tmp_path) as it:
        brought = await begun(it)
        told = await refused(it, {"state": brought["state"], "error": error})
        assert told.code == "oauth_refused"
        assert ("server_error" in told.message) == (error == "server_error")
        assert "<" not in told.message


@pytest.mark.parametrize("stated", ["", "https://login.example.com"])
async def test_who_was_sent_back_by_another_provider_is_not_let_in(tmp_path: Path, stated: str) -> None:
    async with scene(tmp_path, issuer=stated) as it:
        brought = await begun(it)
        assert (await refused(it, brought | {"issuer": "https://evil.example.com"})).code == "oauth_refused"
        assert it.consents.asked == []
        again = await begun(it)
        assert await it.came_back(again | {"issuer": stated or it.server.url})


async def test_who_was_sent_off_from_another_place_is_not_let_in(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        brought = await begun(it)
        it.consents.codes[brought["code"]]["redirect_uri"] = "https://evil.example.com/connect/callback"
        assert (await refused(it, brought)).code == "oauth_refused"
    assert it.consents.asked[0]["redirect_uri"] == BACK


async def test_a_code_goes_to_the_provider_it_was_asked_of_or_nowhere(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        brought = await begun(it)
        told: dict[str, Any] = config(it.server.url)["oauth"]
        await it.kit.web.change_connection(
            TENANT, "crm", config={"oauth": told | {"token": it.server.url + "/evil"}}, by=BOB
        )
        assert (await refused(it, brought)).code == "sign_in_over"
    assert it.server.heard == []


async def test_a_connection_that_is_gone_takes_nobody_back(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        brought = await begun(it)
        await it.kit.web.delete_connection(TENANT, "crm", by=BOB)
        with pytest.raises(Conflict):
            await it.came_back(brought)
    assert it.server.heard == []


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "a\r\nb"},
        {"access_token": "good-enough-4f", "token_type": "mac"},
        {"error": "invalid_grant", "error_description": "the-clients-secret-91c7"},
        {"ok": False, "access_token": "good-enough-4f"},
        {"code": "invalid_grant", "error": {"deep": 1}},
    ],
)
async def test_an_answer_without_a_token_that_can_be_used_connects_nothing(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    async with scene(tmp_path) as it:
        it.consents.wrong = answer
        told = await refused(it, await begun(it))
        assert told.code == "oauth_refused"
        assert "secret-91c7" not in told.message + told.remedy


async def test_a_provider_that_is_away_is_said_to_be_and_the_sign_in_begins_anew(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        brought = await begun(it)
        it.consents.status = 502
        assert isinstance(await refused(it, brought), Unavailable)
        it.consents.status = 200
        assert (await refused(it, brought)).code == "sign_in_over"
        assert await it.came_back(await begun(it))


async def test_a_provider_inside_a_private_network_is_not_gone_to(tmp_path: Path) -> None:
    async with scene(tmp_path, token="https://10.0.0.7/token") as it:
        told = await refused(it, await begun(it))
        assert told.code == "address_refused"
        assert "10.0.0.7:443" in told.remedy


async def test_the_clients_secret_is_needed_before_anybody_is_asked(tmp_path: Path) -> None:
    async with scene(tmp_path, client_secret="forgotten") as it:
        brought = await begun(it)
        assert isinstance(await refused(it, brought), NotFound)
        assert it.server.heard == []
        await it.kit.web.set_secret(TENANT, "forgotten", "the-clients-secret-91c7", by=ADA)
        assert await it.came_back(brought)
