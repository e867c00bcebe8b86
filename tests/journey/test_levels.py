"""Levels at the gateway: whose routes hold, what is no route, and what a change leaves in the record."""

from pathlib import Path

import pytest

from freehold.core.errors import FreeholdError, Invalid, NotFound
from freehold.gateway.calls import levels
from tests.gateways import TENANT, Kit, running


async def chain(kit: Kit, level: str, tenant: str = TENANT) -> tuple[str, ...]:
    return await kit.gateway.keep.read(lambda tx: levels.chain(tx, tenant=tenant, level=level))


async def connection(kit: Kit, name: str, tenant: str | None = None) -> None:
    config = {"base_url": "https://api.example.com/v1"}
    await kit.web.create_connection(tenant, kind="openai", name=name, config=config, secret=None, by="tester")


async def test_the_platforms_routes_hold_until_a_tenant_sets_its_own(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await connection(kit, "all")
        await connection(kit, "own", TENANT)
        assert await chain(kit, "executor") == ()
        await kit.web.set_level(None, "executor", ["all/small"], by="tester")
        await kit.web.set_level(TENANT, "executor", ["own/large", "all/small"], by="tester")
        assert await chain(kit, "executor") == ("own/large", "all/small")
        assert await chain(kit, "executor", "ten_2") == ("all/small",)
        (listed,) = await kit.web.list_levels(TENANT)
        assert (listed["own"], listed["routes"]) == (True, ["own/large", "all/small"])
        await kit.web.delete_level(TENANT, "executor", by="tester")
        assert await chain(kit, "executor") == ("all/small",)
        (listed,) = await kit.web.list_levels(TENANT)
        assert (listed["own"], listed["set_by"]) == (False, "tester")
        with pytest.raises(NotFound):
            await kit.web.delete_level(TENANT, "executor", by="tester")


async def test_the_platform_cannot_route_by_a_connection_of_a_tenants(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await connection(kit, "own", TENANT)
        with pytest.raises(Invalid) as refused:
            await kit.web.set_level(None, "executor", ["own/large"], by="tester")
        assert refused.value.code == "unknown_model"
        with pytest.raises(Invalid):
            await kit.web.set_level("ten_2", "executor", ["own/large"], by="tester")
        assert await chain(kit, "executor") == ()


@pytest.mark.parametrize(
    ("level", "routes", "code"),
    [
        ("thinking", ["all/small"], "unknown_level"),
        ("executor", [], "bad_route"),
        ("executor", ["all"], "bad_route"),
        ("executor", ["executor"], "bad_route"),
        ("executor", ["all/"], "bad_route"),
        ("executor", ["all/small", "all/small"], "bad_route"),
        ("executor", ["all/small\n"], "bad_route"),
        ("executor", [f"all/{number}" for number in range(9)], "bad_route"),
        ("executor", ["none/small"], "unknown_model"),
        ("executor", ["hook/small"], "unknown_model"),
    ],
)
async def test_what_leads_nowhere_is_refused(tmp_path: Path, level: str, routes: list[str], code: str) -> None:
    async with running(tmp_path) as kit:
        await connection(kit, "all")
        hook = {"url": "https://example.com/hook"}
        await kit.web.set_secret(None, "signing", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", by="tester")
        await kit.web.create_connection(None, kind="webhook", name="hook", config=hook, secret="signing", by="tester")
        with pytest.raises(FreeholdError) as refused:
            await kit.web.set_level(None, level, routes, by="tester")
        assert refused.value.code == code
        assert refused.value.remedy
        assert await kit.web.list_levels(None) == []


async def test_a_change_is_in_the_record_with_hashes_and_the_same_again_is_none(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        before = kit.gateway.keep.generation
        for _ in range(2):
            await kit.web.set_level(TENANT, "executor", ["rehearsal"], by="tester")
        assert kit.gateway.keep.generation > before
        await kit.web.delete_level(TENANT, "executor", by="tester")
        told = [link for link in await kit.web.audit(TENANT) if link["action"].startswith("level.")]
    assert [link["action"] for link in told] == ["level.set", "level.delete"]
    assert told[0]["after"] == told[1]["before"]
    assert told[0]["detail"] == {"routes": ["rehearsal"]}
