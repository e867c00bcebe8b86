"""Signing a connection in from another device: a code, patience, and one answer."""

from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Invalid, NotFound
from tests.consents import ADA, BOB, Scene, scene
from tests.gateways import TENANT


async def begun(it: Scene) -> dict[str, Any]:
    return await it.kit.web.start_device(TENANT, "crm", by=ADA)


async def poll(it: Scene, sign_in: str, by: str = ADA) -> dict[str, Any]:
    return await it.kit.web.poll_device(TENANT, sign_in, by=by)


async def test_somebody_agrees_on_another_device(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        told = await begun(it)
        assert (told["user_code"], told["uri"]) == ("ABCD-EFGH", "https://accounts.example.com/device")
        it.clock.wind(5)
        assert (await poll(it, told["id"]))["state"] == "waiting"
        it.consents.device = ""
        assert (await poll(it, told["id"]))["state"] == "waiting", "it is asked no more often than it wants"
        it.clock.wind(5)
        assert (await poll(it, told["id"])) == {"state": "connected", "account": ""}
        assert (await poll(it, told["id"])) == {"state": "connected", "account": ""}
        assert (await it.state())["state"] == "connected"
    assert len(it.consents.asked) == 2


async def test_who_is_too_fast_waits_longer(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        told = await begun(it)
        it.consents.device = "slow_down"
        it.clock.wind(5)
        assert (await poll(it, told["id"])) == {"state": "waiting", "interval": 10.0}
        it.clock.wind(9)
        await poll(it, told["id"])
        assert len(it.consents.asked) == 1
        it.clock.wind(1)
        assert (await poll(it, told["id"]))["interval"] == 15.0


@pytest.mark.parametrize(
    ("says", "state"), [("access_denied", "denied"), ("expired_token", "expired"), ("invalid_client", "failed")]
)
async def test_an_end_is_told_and_nobody_is_asked_again(tmp_path: Path, says: str, state: str) -> None:
    async with scene(tmp_path) as it:
        told = await begun(it)
        it.consents.device = says
        it.clock.wind(5)
        assert (await poll(it, told["id"]))["state"] == state
        it.consents.device = ""
        it.clock.wind(60)
        assert (await poll(it, told["id"]))["state"] == state
    assert len(it.consents.asked) == 1


async def test_a_code_nobody_types_runs_out(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        told = await begun(it)
        it.clock.wind(601)
        assert (await poll(it, told["id"])) == {"state": "expired"}
    assert it.consents.asked == []


async def test_a_provider_that_is_away_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        told = await begun(it)
        it.consents.status, it.consents.device = 503, ""
        it.clock.wind(5)
        assert (await poll(it, told["id"]))["state"] == "waiting"
        it.consents.status = 200
        it.clock.wind(5)
        assert (await poll(it, told["id"]))["state"] == "connected"


async def test_somebody_else_is_told_there_is_no_such_sign_in(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        told = await begun(it)
        for ask in (poll(it, told["id"], by=BOB), it.kit.web.poll_device("ten_2", told["id"], by=ADA)):
            with pytest.raises(NotFound):
                await ask


async def test_a_provider_without_it_says_so(tmp_path: Path) -> None:
    async with scene(tmp_path, device="") as it:
        with pytest.raises(Invalid) as refused:
            await begun(it)
        assert refused.value.code == "bad_oauth"
    assert it.server.heard == []
