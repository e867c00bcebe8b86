"""A tenant that is not active has no effect at the gateway either, whatever a worker still asks for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from freehold.core.effects import EffectState
from freehold.core.errors import Conflict, FreeholdError, Unavailable
from freehold.core.runs import RunEvent
from freehold.core.tenants import TenantEvent
from freehold.tenants import living
from freehold.testing.clock import FakeClock
from freehold.web.holding import hold_all
from tests.gateways import Kit, effect, running, said, work
from tests.webs import Web, made, served

ACME = "/api/v1/tenants/acme"


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[tuple[Web, Kit, Any]]:
    """Give a web, its gateway, and a client of the first; there is a tenant with an agent that may use a shell."""
    async with running(folder / "gateway-data", FakeClock()) as kit:
        web = made(folder / "data", gateway=kit.web, tenant_retention_days=0)
        web.tenant("acme")
        async with served(web) as asking:
            agent = {"name": "ada", "model": "rehearsal", "tools": {"shell": "allow"}}
            assert (await asking.post(f"{ACME}/agents", json=agent)).status_code == 201
            yield web, kit, asking


async def underway(web: Web, asking: Any) -> dict[str, str]:
    """Start a run, let a worker be at it, and return on whose behalf that worker asks."""
    run = (await asking.post(f"{ACME}/runs", json={"agent": "ada", "input": "hello"})).json()
    with web.state.store.read() as platform:
        tenant = platform.tenants.find("acme")
    web.move(tenant, run["id"], RunEvent.START)
    return {"tenant": tenant.id, "agent": run["agent"], "version": run["version"], "run": run["id"]}


async def asked(kit: Kit, whose: dict[str, str], number: int) -> EffectState:
    key = f"{whose['run']}/1/1/{number}"
    return (await kit.worker.submit(work(**whose), effect(key=key))).state


@pytest.mark.parametrize("how", ["suspend", "delete"])
async def test_no_effect_begins_once_the_call_has_returned(tmp_path: Path, how: str) -> None:
    async with house(tmp_path) as (web, kit, asking):
        whose = await underway(web, asking)
        assert await asked(kit, whose, 1) is EffectState.OPEN
        if how == "suspend":
            assert (await asking.post(f"{ACME}/suspend")).status_code == 200
        else:
            assert (await asking.delete(f"{ACME}?confirm=acme")).status_code == 200
        with pytest.raises(Unavailable) as refused:
            await asked(kit, whose, 2)
        assert refused.value.code == "effects_paused"
        with pytest.raises(Unavailable):
            await kit.worker.chat(work(**whose), key=f"{whose['run']}/2/1/0", model="rehearsal", body=said("hello"))
        # What had begun may end.
        await kit.worker.settle(work(**whose), key=f"{whose['run']}/1/1/1", state=EffectState.DONE, result={})


async def test_effects_begin_again_when_the_tenant_is_resumed_and_not_when_it_is_restored(tmp_path: Path) -> None:
    async with house(tmp_path) as (web, kit, asking):
        whose = await underway(web, asking)
        await asking.post(f"{ACME}/suspend")
        await asking.post(f"{ACME}/resume")
        assert await asked(kit, whose, 1) is EffectState.OPEN
        await asking.delete(f"{ACME}?confirm=acme")
        await asking.post(f"{ACME}/restore")
        with pytest.raises(Unavailable):
            await asked(kit, whose, 2)
        await asking.post(f"{ACME}/resume")
        assert await asked(kit, whose, 2) is EffectState.OPEN


async def test_resuming_takes_no_switch_back_that_a_person_threw(tmp_path: Path) -> None:
    async with house(tmp_path) as (web, kit, asking):
        whose = await underway(web, asking)
        await asking.post(f"{ACME}/switches/pause-effects")
        await asking.post(f"{ACME}/suspend")
        await asking.post(f"{ACME}/resume")
        with pytest.raises(Unavailable):
            await asked(kit, whose, 1)
        await asking.post(f"{ACME}/switches/resume-effects")
        assert await asked(kit, whose, 1) is EffectState.OPEN
        await asking.post(f"{ACME}/suspend")
        await asking.post(f"{ACME}/switches/resume-effects")
        with pytest.raises(Unavailable):
            await asked(kit, whose, 2)


@pytest.mark.parametrize("events", [[TenantEvent.SUSPEND], [TenantEvent.SUSPEND, TenantEvent.RESUME]])
async def test_what_a_web_that_died_did_not_tell_the_gateway_is_made_up_for(
    tmp_path: Path, events: list[TenantEvent]
) -> None:
    async with house(tmp_path) as (web, kit, asking):
        whose = await underway(web, asking)
        for event in events:
            with web.state.store.write() as platform:  # and it is dead
                living.live(platform, whose["tenant"], event, by="operator", clock=web.clock)
            if event is not events[-1]:
                await hold_all(web.state)
        await hold_all(web.state)
        await hold_all(web.state)
        if events[-1] is TenantEvent.RESUME:
            assert await asked(kit, whose, 1) is EffectState.OPEN
        else:
            with pytest.raises(Unavailable):
                await asked(kit, whose, 1)
        told = [row["action"] for row in await kit.web.audit(whose["tenant"])]
        assert [action for action in told if action.startswith("effects.")] == ["effects.hold", "effects.release"][
            : len(events)
        ]


async def test_a_tenant_is_suspended_though_the_gateway_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as (web, kit, asking):
        whose = await underway(web, asking)

        async def away(_tenant: str, *, held: bool, by: str) -> None:
            raise Unavailable("The gateway is away.", code="gateway_away")

        monkeypatch.setattr(web.state.gateway, "hold", away)
        assert (await asking.post(f"{ACME}/suspend")).json()["state"] == "suspended"
        monkeypatch.undo()
        await hold_all(web.state)
        with pytest.raises(FreeholdError):
            await asked(kit, whose, 1)


@pytest.mark.parametrize("how", ["runs/{run}/cancel", "switches/cancel-runs"])
@pytest.mark.parametrize("began", [True, False])
async def test_a_run_has_no_effect_once_it_was_cancelled(tmp_path: Path, how: str, *, began: bool) -> None:
    async with house(tmp_path) as (web, kit, asking):
        whose, other = await underway(web, asking), await underway(web, asking)
        if began:
            assert await asked(kit, whose, 1) is EffectState.OPEN
        assert (await asking.post(f"{ACME}/{how.format(run=whose['run'])}")).status_code == 200
        with pytest.raises(Conflict) as refused:
            await asked(kit, whose, 2)
        assert refused.value.code == "stale_epoch"
        with pytest.raises(Conflict):
            await kit.worker.chat(work(**whose), key=f"{whose['run']}/2/1/0", model="rehearsal", body=said("hello"))
        if "{run}" in how:
            assert await asked(kit, other, 1) is EffectState.OPEN
