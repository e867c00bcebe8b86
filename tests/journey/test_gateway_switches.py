"""Kill switches at the gateway: in force when the call returns; and the end of a tenant there."""

import asyncio
from pathlib import Path

import pytest

from freehold.core.effects import EffectState
from freehold.core.errors import FreeholdError, NotFound, Unavailable
from freehold.gateway.tables import metadata
from tests.gateways import RUN, SECRET, TENANT, effect, running, said, work

KEY = f"{RUN}/1/1/0"
SHELL = {"shell": "allow"}


@pytest.mark.parametrize("whose", [TENANT, None])
async def test_no_effect_and_no_model_call_begins_while_they_are_paused(tmp_path: Path, whose: str | None) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools=SHELL)
        shown = await kit.web.pause_effects(whose, paused=True, by="tester")
        assert shown["here"]["paused"]
        for ask in (
            kit.worker.submit(work(), effect()),
            kit.worker.chat(work(), key=KEY, model="rehearsal", body=said("hello")),
        ):
            with pytest.raises(Unavailable) as caught:
                await ask
            assert caught.value.code == "effects_paused"
        assert (await kit.web.usage(TENANT))["rows"] == []
        shown = await kit.web.pause_effects(whose, paused=False, by="tester")
        assert not shown["here"]["paused"]
        assert (await kit.worker.submit(work(), effect())).state is EffectState.OPEN
        assert (await kit.worker.chat(work(), key=KEY, model="rehearsal", body=said("hello"))).text


async def test_a_neighbour_of_a_paused_tenant_notices_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools=SHELL, tenant="ten_2")
        await kit.web.pause_effects(TENANT, paused=True, by="tester")
        assert (await kit.worker.submit(work(tenant="ten_2"), effect())).state is EffectState.OPEN
        assert not (await kit.web.switches("ten_2"))["here"]["paused"]


async def test_what_was_done_before_is_told_and_what_is_open_can_be_settled(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools=SHELL)
        await kit.worker.submit(work(), effect())
        await kit.web.pause_effects(TENANT, paused=True, by="tester")
        await kit.worker.settle(work(), key=effect().key, state=EffectState.DONE, result={"value": 1})
        told = await kit.worker.submit(work(), effect())
        assert (told.state, told.result) == (EffectState.DONE, {"value": 1})


async def test_what_is_in_flight_is_counted_and_finishes(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish("rehearsal?pieces=3")
        first = asyncio.Event()
        asking = asyncio.ensure_future(
            kit.worker.chat(
                work(), key=KEY, model="rehearsal?pieces=3", body=said("hello"), on_text=lambda _text: first.set()
            )
        )
        await first.wait()
        shown = await kit.web.pause_effects(None, paused=True, by="tester")
        assert shown["in_flight"] in {0, 1}
        assert (await asking).text


async def test_pausing_twice_is_one_act_and_it_is_recorded_by_whom(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        for _ in range(2):
            await kit.web.pause_effects(TENANT, paused=True, by="person:per_1")
        assert await kit.actions() == ["effects.pause"]
        assert (await kit.web.switches(TENANT))["here"]["by"] == "person:per_1"


async def test_the_switch_outlives_the_gateway(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools=SHELL)
        await kit.web.pause_effects(None, paused=True, by="tester")
    async with running(tmp_path) as kit:
        with pytest.raises(Unavailable):
            await kit.worker.submit(work(), effect())


async def test_nothing_of_an_erased_tenant_is_left_but_hashes_and_what_it_used(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.web.set_secret(TENANT, "hook", SECRET, by="tester")
        await kit.web.set_secret("ten_2", "hook", SECRET, by="tester")
        await kit.web.tenant_key(TENANT)
        await kit.publish(tools=SHELL)
        await kit.worker.chat(work(), key=KEY, model="rehearsal", body=said("a word to remember"))
        await kit.worker.submit(work(), effect(command="a word to remember"))
        told = await kit.web.erase(TENANT, by="clock")
        assert told["rows"]["secrets"] == 1
        assert told["rows"]["tenant_keys"] == 1
        assert await kit.web.erase(TENANT, by="clock") == told
        left = await kit.gateway.keep.read(
            lambda tx: {
                table.name
                for table in metadata.sorted_tables
                if tx.execute(table.select().where(table.c.tenant == TENANT)).first() is not None
            }
        )
        assert left == {"audit", "usage", "switches"}
        assert len(await kit.web.list_secrets("ten_2")) == 1
        with pytest.raises(FreeholdError):
            await kit.worker.submit(work(), effect(key=f"{RUN}/1/1/9"))
        with pytest.raises(NotFound):
            await kit.web.set_secret(TENANT, "again", SECRET, by="tester")
        assert (await kit.web.verify_audit())["ok"]
