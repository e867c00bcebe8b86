"""Going on past a limit, at the gateway: always asked about, granted once, and only what the run itself runs into."""

from pathlib import Path
from typing import Any

import pytest

from freehold.core.effects import Effect, EffectState
from freehold.core.money import NANO, Budget, BudgetScope, Period, window
from freehold.gateway.money import budgets
from freehold.testing.clock import START, FakeClock
from tests.gateways import AGENT, RUN, TENANT, Kit, running, work

MONTH = window(Period.MONTH, START)
MORE: dict[str, Any] = {"scope": "tenant", "subject": "", "period": "month", "window": MONTH, "usd": 2}


async def limited(kit: Kit, scope: str = "tenant", subject: str = "", period: str = "month", usd: int = 10) -> None:
    limit = Budget(scope=BudgetScope(scope), subject=subject, period=Period(period), limit_nano=usd * NANO)
    await kit.gateway.keep.write(lambda tx: budgets.put(tx, kit.gateway.keep, tenant=TENANT, budget=limit, by="ann"))


async def limits(kit: Kit) -> dict[str, int]:
    """Return how high each limit stands now, by scope and subject."""
    found = await kit.gateway.keep.read(lambda tx: budgets.listed(tx, tenant=TENANT))
    at = kit.gateway.keep.now()
    return {f"{one.scope}:{one.subject}": one.limit(at) // NANO for one in found}


def extension(key: str = f"{RUN}/1/1/1", operation: str = "extend", **changes: Any) -> Effect:
    return Effect(key=key, connection="budget", operation=operation, arguments=MORE | changes)


async def decided(kit: Kit, effect: Effect, *, approve: bool = True) -> None:
    asked = await kit.worker.submit(work(), effect)
    assert asked.state is EffectState.ASKED
    await kit.web.decide(tenant=TENANT, key=effect.key, hash=asked.hash, approve=approve, by="ann")


async def test_an_approved_one_lets_the_limit_be_passed_once_and_by_just_that_much(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await limited(kit)
        await decided(kit, extension())
        assert await limits(kit) == {"tenant:": 10}
        for fresh in (True, False):
            outcome = await kit.worker.submit(work(), extension())
            assert (outcome.state, outcome.result) == (EffectState.DONE, {"extended": True})
            assert outcome.fresh is fresh
        assert await limits(kit) == {"tenant:": 12}
        told = [row for row in await kit.web.audit(TENANT) if row["action"] == "budget.extended"]
        assert [row["actor"] for row in told] == ["ann"]


async def test_two_approvals_add_up(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await limited(kit)
        for key in (f"{RUN}/1/1/1", f"{RUN}/2/1/1"):
            await decided(kit, extension(key))
            await kit.worker.submit(work(), extension(key))
        assert await limits(kit) == {"tenant:": 14}


async def test_what_was_granted_before_counts_for_how_much_may_be_asked(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await limited(kit, usd=5)
        for number in range(1, 4):
            key = f"{RUN}/{number}/1/1"
            await decided(kit, extension(key, usd=1))
            await kit.worker.submit(work(), extension(key, usd=1))
        await decided(kit, extension(f"{RUN}/4/1/1", usd=2))  # a fifth of eight by now


async def test_a_refused_one_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await limited(kit)
        await decided(kit, extension(), approve=False)
        assert (await kit.worker.submit(work(), extension())).state is EffectState.REFUSED
        assert await limits(kit) == {"tenant:": 10}


async def test_no_grant_lets_it_happen_unasked(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"shell": "allow"})
        await limited(kit)
        assert (await kit.worker.submit(work(), extension())).state is EffectState.ASKED
        assert await limits(kit) == {"tenant:": 10}


@pytest.mark.parametrize(
    "changes",
    [
        {"usd": 3},
        {"scope": "agent", "subject": "agt_other"},
        {"scope": "run", "subject": "run_other", "period": "ever", "window": ""},
        {"scope": "tier"},
        {"scope": "credit", "period": "ever", "window": ""},
        {"scope": "key", "subject": "fhm_1"},
        {"period": "day"},
        {"operation": "raise"},
        {"further": "x"},
        {"usd": -1},
    ],
    ids=str,
)
async def test_what_does_not_fit_is_refused_without_asking_anybody(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await limited(kit)
        await limited(kit, "tier")
        await limited(kit, "agent", "agt_other")
        await limited(kit, "key", "fhm_1")
        await limited(kit, "run", "*", "ever")
        outcome = await kit.worker.submit(work(), extension(**changes))
        assert outcome.state is EffectState.REFUSED


async def test_of_a_limit_for_each_run_only_this_run_gets_more(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await limited(kit, "run", "*", "ever", usd=1)
        effect = extension(scope="run", subject=RUN, period="ever", window="", usd=1)
        await decided(kit, effect)
        await kit.worker.submit(work(), effect)
        assert await limits(kit) == {"run:*": 1, f"run:{RUN}": 2}


async def test_its_own_agents_limit_is_asked_about(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await limited(kit, "agent", AGENT)
        assert (await kit.worker.submit(work(), extension(scope="agent", subject=AGENT))).state is EffectState.ASKED


async def test_what_was_approved_for_a_month_that_is_over_grants_nothing_in_the_next(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock, approval_hours=24.0 * 60) as kit:
        await kit.publish()
        await limited(kit)
        await decided(kit, extension())
        clock.wind(35 * 86_400)
        outcome = await kit.worker.submit(work(), extension())
        assert (outcome.state, outcome.result) == (EffectState.DONE, {"extended": False})
        assert await limits(kit) == {"tenant:": 10}


async def test_a_limit_that_was_taken_away_needs_no_more(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await limited(kit)
        await decided(kit, extension())
        which: dict[str, Any] = {"scope": BudgetScope.TENANT, "subject": "", "period": Period.MONTH, "by": "ann"}
        keep = kit.gateway.keep
        await keep.write(lambda tx: budgets.remove(tx, keep, tenant=TENANT, **which))
        assert (await kit.worker.submit(work(), extension())).result == {"extended": False}
        assert await limits(kit) == {}


async def test_no_connection_can_be_called_so(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        with pytest.raises(Exception, match="cannot be called 'budget'"):
            await kit.web.create_connection(
                TENANT, kind="webhook", name="budget", config={"url": "http://127.0.0.1:9"}, secret=None, by="ann"
            )
