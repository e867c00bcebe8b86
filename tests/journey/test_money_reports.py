"""What is told about money afterwards: sums, recovery after a death, warnings, credit and mark-up."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from freehold.core.errors import Exhausted, Invalid
from freehold.core.money import BudgetScope, Period, UsageState
from freehold.gateway import mending
from freehold.gateway.asked import Whom
from freehold.gateway.money import accounts, usage, warnings
from freehold.gateway.money_tables import usage as rows
from freehold.testing.clock import START
from tests.purses import TENANT, WHOM, Purse, purse, talk

SECOND_DAY = 86_400


async def agree(money: Purse, **changes: object) -> None:
    await money.keep.write(lambda tx: accounts.put(tx, money.keep, tenant=TENANT, by="op", **changes))  # type: ignore[arg-type]
    money.books.forget(TENANT)


async def top_up(money: Purse, nano: int) -> None:
    await money.keep.write(lambda tx: accounts.top_up(tx, money.keep, tenant=TENANT, nano=nano, by="op"))
    money.books.forget(TENANT)


async def credit(money: Purse) -> tuple[int | None, int]:
    found = await money.keep.read(lambda tx: accounts.find(tx, tenant=TENANT))
    return found.credit_nano, found.credit_spent_nano


async def warned(money: Purse) -> list[tuple[str, int]]:
    found = await money.keep.read(warnings.after)
    return [(str(one["scope"]), one["percent"]) for one in found]


async def test_usage_is_summed_by_whatever_is_asked(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.call(30, whom=Whom(tenant=TENANT, agent="agt_1", run="run_1", level="executor"))
        await money.call(50, whom=Whom(tenant=TENANT, agent="agt_2", key="fhm_1"))
        money.clock.wind(SECOND_DAY)
        await money.call(7, whom=Whom(tenant="ten_2", agent="agt_9"))

        async def by(what: str, tenant: str | None = TENANT, since: int = 0) -> list[tuple[str, int]]:
            found = await money.keep.read(lambda tx: usage.grouped(tx, tenant=tenant, by=what, since=since))
            return [(one["key"], one["charge_nano"]) for one in found]

        assert await by("agent") == [("agt_2", 50), ("agt_1", 30)]
        assert await by("level") == [("", 50), ("executor", 30)]
        assert await by("key") == [("fhm_1", 50), ("", 30)]
        assert await by("day", None) == [("2026-01-01", 80), ("2026-01-02", 7)]
        assert await by("tenant", None) == [(TENANT, 80), ("ten_2", 7)]
        assert await by("agent", None, int(START.timestamp() * 1000) + 1) == [("agt_9", 7)]
        with pytest.raises(Invalid):
            await by("tenant")
        told = await money.keep.read(lambda tx: usage.told(tx, tenant=TENANT))
    assert (told["total"]["count"], told["total"]["charge_nano"], len(told["rows"])) == (2, 80, 2)


async def test_what_was_under_way_when_the_gateway_died_is_charged_what_was_held(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(1_000)
        await top_up(money, 5_000)
        await money.call(20)
        hold = await money.books.hold(WHOM, talk(100), own=False)
        await money.opened(hold)
        await money.keep.write(lambda tx: mending.recover(tx, money.keep))
        again = money.again()
        row = await money.keep.read(lambda tx: tx.execute(select(rows).order_by(rows.c.id.desc())).first())
        assert row is not None
        assert (row.state, row.estimated, row.charge_nano) == (UsageState.UNSETTLED, True, 110)
        assert (await again.spent(), again.books.held(TENANT)) == (130, 0)
        assert await credit(money) == (5_000, 130)


async def test_what_the_provider_took_from_a_call_that_died_is_told_without_the_mark_up(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await agree(money, markup_ppm=333_333)
        large = 5 * 10**13 + 100
        for entering, own in ((10, False), (5 * 10**13, False), (10, True)):
            hold = await money.books.hold(WHOM, talk(100, entering=entering), own=own)
            await money.opened(hold)
        await money.keep.write(lambda tx: mending.recover(tx, money.keep))
        found = await money.keep.read(lambda tx: tx.execute(select(rows).order_by(rows.c.id)).all())
        taken = [(row.cost_nano, row.charge_nano) for row in found]
        assert taken == [(110, 147), (large, -(-large * 1_333_333 // 1_000_000)), (110, 110)]


async def test_people_are_warned_once_at_every_mark(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(1_000)
        await money.limit(200, BudgetScope.AGENT, "agt_1", Period.DAY)
        for _ in range(12):
            await money.call(10)
        assert await warned(money) == [("agent", 50)]
        for _ in range(4):
            await money.call(10)
        await money.call(30)
        with pytest.raises(Exhausted):
            await money.call(20, talk(20, least=20))
        await money.books.drain()
        await money.call(10, talk(10, entering=0))
        assert await warned(money) == [("agent", 50), ("agent", 80), ("agent", 100)]
        again = money.again()
        money.clock.wind(SECOND_DAY)
        for _ in range(31):
            await again.call(10, whom=Whom(tenant=TENANT, agent="agt_2", attended=True))
        assert (await warned(money))[3:] == [("tenant", 50)]
        money.clock.wind(32 * SECOND_DAY)
        assert await money.keep.write(lambda tx: mending.sweep(tx, money.keep)) == 4
        assert await warned(money) == []


async def test_a_mark_up_is_charged_on_the_platforms_connections_only(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await agree(money, markup_ppm=250_000)
        assert await money.call(101) == 127
        assert await money.call(101, own=True) == 101
        hold = await money.books.hold(WHOM, talk(100, entering=0), own=False)
        assert (hold.nano, hold.cost) == (125, 100)
        money.books.release(hold)
        told = await money.keep.read(lambda tx: usage.told(tx, tenant=TENANT))
    assert (told["total"]["cost_nano"], told["total"]["charge_nano"]) == (202, 228)


async def test_credit_is_spent_to_the_last_nano_and_no_further(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await top_up(money, 100)
        assert await money.call(90) == 90
        with pytest.raises(Exhausted) as refused:
            await money.call(11, talk(10, least=10, entering=10))
        assert refused.value.code == "credit_exhausted"
        assert await money.call(500, talk(10, entering=0), own=True) == 500
        await top_up(money, 50)
        assert await money.call(60) == 60
        assert await credit(money) == (150, 150)
        again = money.again()
        with pytest.raises(Exhausted):
            await again.call(1)


async def test_more_cannot_be_taken_back_than_was_paid(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await top_up(money, 100)
        with pytest.raises(Invalid):
            await top_up(money, -101)


async def test_rows_and_counters_say_the_same(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(3_000)
        agents = [Whom(tenant=TENANT, agent=f"agt_{n}", run=f"run_{n}", attended=True) for n in range(8)]

        async def one(number: int) -> None:
            try:
                await money.call(10 + number * 7 % 120, whom=agents[number % 8])
            except Exhausted:
                return

        await asyncio.gather(*(one(number) for number in range(64)))
        summed = await money.keep.read(lambda tx: tx.execute(select(func.sum(rows.c.charge_nano))).scalar_one())
        assert summed == await money.spent() == await money.again().spent()
        assert summed <= 3_000
