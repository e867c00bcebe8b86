"""Model keys at the gateway: shown once, found by their hash, out of force at once."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from freehold.core.errors import FreeholdError, Invalid, NotFound
from freehold.gateway.calls import model_keys
from freehold.gateway.calls.model_keys import ModelKey, hashed, mint, well_formed
from freehold.testing.clock import FakeClock
from tests.gateways import TENANT, Kit, running

MADE: dict[str, Any] = {"name": "editor", "agent": "", "models": [], "expires_at": None, "by": "tester"}


async def found(kit: Kit, key: str) -> ModelKey | None:
    return await kit.gateway.keep.read(lambda tx: model_keys.find(tx, hash=hashed(key)))


def test_a_key_is_random_and_a_mistyped_one_is_told_at_once() -> None:
    keys = {mint() for _ in range(100)}
    assert len(keys) == 100
    assert all(well_formed(key) and len(key) == len("fhm_") + 49 for key in keys)
    key = keys.pop()
    other = "a" if key[10] != "a" else "b"
    assert not well_formed(key[:10] + other + key[11:])
    assert not well_formed("fhm_short")
    assert not well_formed(key.replace("fhm_", "fh_"))


async def test_a_key_is_found_by_its_text_and_kept_as_its_hash(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        made = await kit.web.create_model_key(TENANT, **MADE | {"models": ["executor"], "agent": "agt_1"})
        key = await found(kit, made["key"])
        assert key is not None
        assert (key.tenant, key.id, key.agent, key.models) == (TENANT, made["id"], "agt_1", frozenset({"executor"}))
        listed = await kit.web.list_model_keys(TENANT)
        assert await kit.web.list_model_keys("ten_2") == []
        told = json.dumps(await kit.web.audit(TENANT))
        rows = await kit.gateway.keep.read(lambda tx: tx.execute(text("SELECT * FROM model_keys")).all())
    assert [one["id"] for one in listed] == [made["id"]]
    for place in (json.dumps(listed), told, str(rows)):
        assert made["key"] not in place
    assert hashed(made["key"]) not in json.dumps(listed) + told


async def test_a_revoked_key_opens_nothing_more_and_stays_listed(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        made = await kit.web.create_model_key(TENANT, **MADE)
        before = kit.gateway.keep.generation
        for _ in range(2):
            await kit.web.revoke_model_key(TENANT, made["id"], by="tester")
        assert kit.gateway.keep.generation > before
        assert await found(kit, made["key"]) is None
        (listed,) = await kit.web.list_model_keys(TENANT)
        actions = [link["action"] for link in await kit.web.audit(TENANT) if "model_key" in link["action"]]
    assert listed["revoked_at"]
    assert actions == ["model_key.create", "model_key.revoke"]


async def test_a_neighbours_key_is_as_missing_as_none(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        made = await kit.web.create_model_key(TENANT, **MADE)
        for key in (made["id"], "fhm_none"):
            with pytest.raises(NotFound) as refused:
                await kit.web.revoke_model_key("ten_2", key, by="tester")
            assert refused.value.code == "unknown_model_key"
        assert await found(kit, made["key"]) is not None


async def test_a_key_ends_when_it_was_said_to(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as kit:
        ends = clock.now() + timedelta(hours=1)
        made = await kit.web.create_model_key(TENANT, **MADE | {"expires_at": ends})
        key = await found(kit, made["key"])
        assert key is not None
        assert key.in_force(clock.now())
        clock.wind(3600)
        assert not key.in_force(clock.now())
        with pytest.raises(Invalid) as refused:
            await kit.web.create_model_key(TENANT, **MADE | {"expires_at": ends})
        assert refused.value.code == "bad_expiry"


async def test_that_a_key_was_used_is_written_down(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as kit:
        made = [await kit.web.create_model_key(TENANT, **MADE) for _ in range(2)]
        used = [made[0]["id"]]
        await kit.gateway.keep.write(lambda tx: model_keys.used(tx, used, clock.now()))
        told = {one["id"]: one["last_used_at"] for one in await kit.web.list_model_keys(TENANT)}
    assert [bool(told[one["id"]]) for one in made] == [True, False]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": " "}, "bad_name"),
        ({"name": "two\nlines"}, "bad_name"),
        ({"models": ["thinking"]}, "bad_route"),
        ({"models": ["nowhere/model"]}, "unknown_model"),
        ({"models": [f"own/{number}" for number in range(51)]}, "too_many_models"),
    ],
)
async def test_what_no_key_can_be_is_refused(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    async with running(tmp_path) as kit:
        with pytest.raises(FreeholdError) as refused:
            await kit.web.create_model_key(TENANT, **MADE | changes)
        assert refused.value.code == code
        assert await kit.web.list_model_keys(TENANT) == []
