"""Limits over a real store: windows, runs, what is granted on top, and what may be limited at all."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from freehold.core.errors import Exhausted, Invalid, NotFound
from freehold.core.money import Budget, BudgetScope, Period
from freehold.gateway.asked import Whom
from freehold.gateway.money import budgets
from tests.purses import TENANT, WHOM, purse, talk

SECOND_DAY = 86_400


async def test_a_limit_set_below_what_is_spent_refuses_and_breaks_nothing(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(1_000)
        await money.call(60)
        under_way = await money.books.hold(WHOM, talk(100), own=False)
        await money.limit(50)
        with pytest.raises(Exhausted):
            await money.call(1, talk(1, entering=0))
        usage_id = await money.opened(under_way)
        assert await money.closed(under_way, usage_id, 20) == 20
        assert (await money.spent(), money.books.held(TENANT)) == (80, 0)
        await money.limit(500)
        assert await money.call(60) == 60


async def test_a_new_window_begins_with_nothing_spent_and_an_old_one_is_remembered(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(100, period=Period.DAY)
        await money.call(90)
        money.clock.wind(SECOND_DAY)
        assert await money.call(80) == 80
        money.clock.wind(-SECOND_DAY)
        with pytest.raises(Exhausted):
            await money.call(20, talk(10, least=10))
        money.clock.wind(40 * SECOND_DAY)
        assert await money.call(80) == 80
        money.clock.wind(-40 * SECOND_DAY)
        assert await money.again().spent() == 90


async def test_a_call_counts_to_the_window_it_began_in(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(1_000, period=Period.DAY)
        hold = await money.books.hold(WHOM, talk(100), own=False)
        usage_id = await money.opened(hold)
        money.clock.wind(SECOND_DAY)
        await money.closed(hold, usage_id, 70)
        assert (await money.spent(), await money.again().spent()) == (0, 0)
        money.clock.wind(-SECOND_DAY)
        assert (await money.spent(), await money.again().spent()) == (70, 70)


async def test_a_limit_of_runs_holds_for_each_by_itself_and_for_what_it_spent_before(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        one, other = Whom(tenant=TENANT, run="run_1", attended=True), Whom(tenant=TENANT, run="run_2", attended=True)
        await money.call(60, whom=one)
        again = money.again()
        await again.call(10, whom=one)
        await again.limit(100, BudgetScope.RUN, "*", Period.EVER)
        assert await again.call(100, whom=other) == 100
        hold = await again.books.hold(one, talk(100, entering=0), own=False)
        assert hold.nano == 30
        again.books.release(hold)
        await again.keep.write(
            lambda tx: budgets.extend(
                tx,
                again.keep,
                tenant=TENANT,
                scope=BudgetScope.RUN,
                subject="run_1",
                period=Period.EVER,
                window="",
                nano=50,
                by="per_1",
            )
        )
        again.books.forget(TENANT)
        assert await again.call(80, whom=one) == 80
        with pytest.raises(Exhausted):
            await again.call(1, whom=other)


async def test_who_waits_for_money_goes_on_when_a_person_grants_more(tmp_path: Path) -> None:
    async with purse(tmp_path, patience=30) as money:
        await money.limit(120)
        first = await money.books.hold(WHOM, talk(100), own=False)
        second = asyncio.create_task(money.books.hold(WHOM, talk(100), own=False))
        await asyncio.sleep(0)
        assert not second.done()
        await money.limit(1_000)
        assert (await second).nano == 110
        money.books.release(first)


async def test_unattended_runs_have_a_limit_of_their_own(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(100, BudgetScope.UNATTENDED, "", Period.DAY)
        alone = Whom(tenant=TENANT, run="run_7")
        assert await money.call(100, talk(100, entering=0), whom=alone) == 100
        with pytest.raises(Exhausted):
            await money.call(1, whom=alone)
        assert await money.call(100, whom=WHOM) == 100
        with pytest.raises(Exhausted):
            await money.again().call(1, whom=alone)


@pytest.mark.parametrize(
    ("scope", "subject", "period"),
    [
        (BudgetScope.CREDIT, "", Period.MONTH),
        (BudgetScope.TENANT, "", Period.EVER),
        (BudgetScope.TENANT, "agt_1", Period.DAY),
        (BudgetScope.AGENT, "", Period.DAY),
        (BudgetScope.RUN, "run_1", Period.EVER),
        (BudgetScope.RUN, "*", Period.DAY),
        (BudgetScope.LEVEL, "butler", Period.DAY),
        (BudgetScope.TIER, "", Period.DAY),
    ],
)
async def test_a_limit_that_means_nothing_is_refused(
    tmp_path: Path, scope: BudgetScope, subject: str, period: Period
) -> None:
    async with purse(tmp_path) as money:
        with pytest.raises(Invalid):
            await money.limit(1, scope, subject, period)
        assert await money.keep.read(lambda tx: budgets.listed(tx, tenant=TENANT)) == []


async def test_a_limit_can_be_taken_away_once(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(10)

        async def remove() -> None:
            which = {"tenant": TENANT, "scope": BudgetScope.TENANT, "subject": "", "period": Period.MONTH}
            await money.keep.write(lambda tx: budgets.remove(tx, money.keep, by="op", **which))  # type: ignore[arg-type]
            money.books.forget(TENANT)

        await remove()
        assert await money.call(500) == 500
        with pytest.raises(NotFound):
            await remove()


def test_what_was_granted_on_top_holds_in_its_window_only() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    month = Budget(
        scope=BudgetScope.TENANT,
        subject="",
        period=Period.MONTH,
        limit_nano=100,
        extra_nano=50,
        extra_window="2026-11",
    )
    assert (month.limit(at), month.limit(at.replace(month=12))) == (150, 100)
