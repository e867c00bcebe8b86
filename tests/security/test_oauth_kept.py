"""Where the tokens of accounts lie: sealed like secrets, replaced with their key, found where they leak, and erased."""

import base64
from pathlib import Path

import pytest

from freehold.core.errors import Denied, FreeholdError, NotFound
from freehold.store.db import Database, sqlite_address
from tests.consents import ADA, BACK, Scene, scene
from tests.gateways import TENANT, effect, work

REFRESH, ACCESS = "refresh-1-8ed2a7", "access-1-5fb1c9"


async def get(it: Scene, number: int = 1) -> int:
    outcome = await it.kit.worker.submit(work(), effect("get", "crm", key=f"run_1/1/1/{number}", path="/things"))
    return int((outcome.result or {})["status"])


async def rotated(it: Scene) -> None:
    await it.kit.web.rotate_keys(TENANT, by="tester")
    while (await it.kit.web.rotation(TENANT))["running"]:
        pass


async def test_accounts_and_sign_ins_go_on_under_a_fresh_key(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        begun = await it.kit.web.start_sign_in(TENANT, "crm", by=ADA, redirect_uri=BACK)
        await rotated(it)
        assert await get(it) == 200
        it.clock.wind(3600)
        assert await get(it, 2) == 200
        assert (await it.kit.web.scan_secrets(None))["faults"] == []
        assert (await it.kit.web.rotation(TENANT))["done"] >= 4, "a secret, two tokens and two sign-ins"
        it.clock.wind(-3600)
        assert await it.came_back(it.consents.agree(begun["url"]))


@pytest.mark.parametrize("token", [ACCESS, REFRESH])
async def test_a_token_that_leaked_is_found_however_it_is_packed(tmp_path: Path, token: str) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        packed = base64.b64encode(b"x" + token.encode())
        told = await it.kit.web.seek_secrets(TENANT, [("workspace/notes.txt", packed)], subject="run_1", by=ADA)
    assert [found["where"] for found in told["found"]] == ["workspace/notes.txt"]


async def test_what_was_put_back_is_not_shown_to_anybody(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        database = Database(sqlite_address(tmp_path / "gateway/gateway.db"))
        look = "SELECT version, sealed FROM secrets WHERE name = 'oauth:crm:refresh'"
        with database.read() as tx:
            old = tx.exec_driver_sql(look).one()
        it.clock.wind(3600)
        assert await get(it) == 200
        with database.write() as tx:
            put = "UPDATE secrets SET version = ?, sealed = ? WHERE name = 'oauth:crm:refresh'"
            tx.exec_driver_sql(put, (old.version, old.sealed))
        database.close()
        it.clock.wind(3600)
        with pytest.raises(Denied) as refused:
            await get(it, 2)
        assert refused.value.code == "vault_rolled_back"
    assert len([form for form in it.consents.asked if form["grant_type"] == "refresh_token"]) == 1


async def test_of_a_tenant_that_was_erased_no_account_is_left(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        begun = await it.kit.web.start_sign_in(TENANT, "crm", by=ADA, redirect_uri=BACK)
        await it.kit.web.erase(TENANT, by="tester")
        assert await it.kit.web.sign_in_states(TENANT) == []
        with pytest.raises(FreeholdError) as gone:
            await it.came_back(it.consents.agree(begun["url"]))
        assert gone.value.code == "unknown_sign_in"


async def test_an_api_that_repeats_its_token_is_not_repeated(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        it.consents.repeats = True
        outcome = await it.kit.worker.submit(work(), effect("get", "crm", path="/things"))
        assert outcome.result is not None
        assert ACCESS not in str(outcome.result)
        assert "[secret]" in str(outcome.result)


async def test_a_worker_can_neither_sign_in_nor_ask_who_is(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        for operation in ("sign-ins/state", "sign-ins/start", "sign-ins/finish", "sign-ins/disconnect"):
            with pytest.raises(FreeholdError) as missing:
                await it.kit.worker.ask(operation, {"tenant": TENANT, "connection": "crm", "by": ADA})
            assert missing.value.code == "not_found"


async def test_a_neighbour_has_no_such_connection(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.signed_in()
        asks = (
            it.kit.web.sign_in_state("ten_2", "crm"),
            it.kit.web.disconnect("ten_2", "crm", by=ADA),
            it.kit.web.start_sign_in("ten_2", "crm", by=ADA, redirect_uri=BACK),
            it.kit.web.start_device(None, "crm", by=ADA),
        )
        for ask in asks:
            with pytest.raises(NotFound) as missing:
                await ask
            assert missing.value.code == "unknown_connection"
        assert await it.kit.web.sign_in_states("ten_2") == []
        assert [one["state"] for one in await it.kit.web.sign_in_states(TENANT)] == ["connected"]
