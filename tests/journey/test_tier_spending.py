"""What a tier lets a tenant spend is known where money is spent, before anybody has less and at the latest when it counts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from freehold.core.money import NANO
from freehold.core.tenants import Tenant
from freehold.testing.clock import FakeClock
from freehold.web.limiting import limit_all
from freehold.web.watching import Seen, look
from tests.gateways import Kit, running
from tests.webs import Web, made, served

API = "/api/v1"
ACME = f"{API}/tenants/acme"


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    return web.tenant("acme")


@asynccontextmanager
async def api(web: Web) -> AsyncIterator[Any]:
    async with served(web) as asking:
        yield asking


async def tier(asking: Any, usd: float | None, name: str = "small") -> int:
    return int((await asking.put(f"{API}/tiers/{name}", json={"limits": {"spend_usd": usd}})).status_code)


async def give(asking: Any, name: str = "small", **more: Any) -> int:
    return int((await asking.put(f"{ACME}/tier", json={"tier": name, **more})).status_code)


async def test_a_new_tenant_is_known_by_its_tier(web: Web) -> None:
    async with api(web) as asking:
        await tier(asking, 12.5)
        made = (await asking.post(f"{API}/tenants", json={"slug": "fresh", "tier": "small"})).json()
        free = (await asking.post(f"{API}/tenants", json={"slug": "free", "tier": "sovereign"})).json()
    assert web.gateway.tiers == {made["id"]: round(12.5 * NANO)}
    assert free["id"] not in web.gateway.tiers


async def test_each_change_of_a_tier_or_of_who_has_it_is_told(web: Web, acme: Tenant) -> None:
    async with api(web) as asking:
        await tier(asking, 5)
        assert await give(asking) == 200
        assert web.gateway.tiers == {acme.id: 5 * NANO}
        await tier(asking, 7)
        assert web.gateway.tiers == {acme.id: 7 * NANO}
        await tier(asking, 0)
        assert web.gateway.tiers == {acme.id: 0}
        await tier(asking, None)
        assert web.gateway.tiers == {}
        await tier(asking, 3)
        await give(asking, "sovereign")
        assert web.gateway.tiers == {}


async def test_nobody_can_be_given_less_while_the_gateway_is_away(web: Web, acme: Tenant) -> None:
    async with api(web) as asking:
        await tier(asking, 5)
        await give(asking)
        web.gateway.gone = True
        assert await tier(asking, 4) == 503
        assert (await asking.get(f"{API}/tiers")).json()["items"][-1]["limits"]["spend_usd"] == 5
        assert await tier(asking, 9) == 200
        assert web.gateway.tiers == {acme.id: 5 * NANO}
        web.gateway.gone = False
        await limit_all(web.state)
    assert web.gateway.tiers == {acme.id: 9 * NANO}


async def test_what_cannot_be_changed_changes_nothing_at_the_gateway(web: Web, acme: Tenant) -> None:
    async with api(web) as asking:
        await tier(asking, 5)
        await give(asking)
        assert await give(asking, "unheard-of") == 422
        assert await tier(asking, -1) == 422
        assert (await asking.delete(f"{API}/tiers/small")).status_code == 409
    assert web.gateway.tiers == {acme.id: 5 * NANO}


async def test_no_version_is_published_before_the_gateway_knows_the_tier(web: Web, acme: Tenant) -> None:
    async with api(web) as asking:
        await tier(asking, 5)
        await give(asking)
        web.gateway.tiers.clear()
        web.gateway.gone = True
        agent = {"name": "ada", "model": "rehearsal"}
        assert (await asking.post(f"{ACME}/agents", json=agent)).status_code == 503
        assert web.gateway.published == []
        web.gateway.gone = False
        assert (await asking.post(f"{ACME}/agents", json=agent)).status_code == 201
    assert web.gateway.tiers == {acme.id: 5 * NANO}


async def test_no_model_key_is_made_before_the_gateway_knows_the_tier(web: Web, acme: Tenant) -> None:
    async with api(web) as asking:
        await tier(asking, 5)
        await give(asking)
        web.gateway.tiers.clear()
        web.gateway.gone = True
        assert (await asking.post(f"{ACME}/model-keys", json={"name": "laptop"})).status_code == 503
        assert web.gateway.model_keys == {}
        web.gateway.gone = False
        assert (await asking.post(f"{ACME}/model-keys", json={"name": "laptop"})).status_code == 201
    assert web.gateway.tiers == {acme.id: 5 * NANO}


async def test_a_tier_is_told_to_the_nano_and_in_numbers_that_json_holds(web: Web, acme: Tenant) -> None:
    async with api(web) as asking:
        await tier(asking, 8_972_293.165464)
        await give(asking)
        assert web.gateway.tiers == {acme.id: 8_972_293_165_464_000}
        await tier(asking, 12_000_000)
    assert web.gateway.tiers == {acme.id: 9_000_000 * NANO}


async def test_another_process_of_the_gateway_is_told_everything(web: Web, acme: Tenant) -> None:
    async with api(web) as asking:
        await tier(asking, 5)
        await give(asking)
    seen = Seen()
    await look(web.state, seen)
    web.gateway.tiers[acme.id] = 99 * NANO  # as an older store has it
    await look(web.state, seen)
    assert web.gateway.tiers == {acme.id: 99 * NANO}
    web.gateway.began = "second"
    await look(web.state, seen)
    assert web.gateway.tiers == {acme.id: 5 * NANO}


async def test_one_that_was_deleted_is_not_told_of_and_is_once_it_is_back(web: Web, acme: Tenant) -> None:
    async with api(web) as asking:
        await tier(asking, 5)
        await give(asking)
        assert (await asking.delete(f"{ACME}?confirm=acme")).status_code == 200
        web.gateway.tiers.clear()
        await tier(asking, 4)
        await limit_all(web.state)
        assert web.gateway.tiers == {}
        for step in ("restore", "resume"):
            assert (await asking.post(f"{ACME}/{step}")).status_code == 200
    assert web.gateway.tiers == {acme.id: 4 * NANO}


async def test_a_tier_that_ends_ends_the_spending(web: Web, acme: Tenant) -> None:
    async with api(web) as asking:
        await tier(asking, 5)
        await give(asking, until=(web.clock.now() + timedelta(days=1)).isoformat())
    seen = Seen()
    await look(web.state, seen)
    assert web.gateway.tiers == {acme.id: 5 * NANO}
    web.clock.wind(2 * 86_400)
    await look(web.state, seen)
    assert web.gateway.tiers == {acme.id: 0}


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[tuple[Web, Kit]]:
    """Give a web and its real gateway."""
    async with running(folder / "gateway-data", FakeClock()) as kit:
        yield made(folder / "data", gateway=kit.web), kit


async def test_the_gateway_keeps_it_as_a_limit_and_writes_it_down(tmp_path: Path) -> None:
    async with house(tmp_path) as (web, kit):
        acme = web.tenant("acme")
        async with api(web) as asking:
            await tier(asking, 5)
            await give(asking)
            assert await kit.web.limits() == {acme.id: 5 * NANO}
            await limit_all(web.state)
            told = [row["action"] for row in await kit.web.audit(acme.id)]
            assert told == ["budget.set"]
            await give(asking, "sovereign")
            assert await kit.web.limits() == {}


async def test_each_process_of_the_gateway_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        async with running(tmp_path) as kit:
            looked = await kit.web.look()
            assert (looked["held"], looked["warned"]) == ([], "")
            names.add(looked["began"])
    assert len(names) == 2
