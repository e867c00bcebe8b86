"""What the books promise: nobody spends more than a limit, nobody is refused what is there, nothing leaks."""

import asyncio
from pathlib import Path

import pytest

from freehold.core.errors import Exhausted
from freehold.core.money import BudgetScope, Period
from freehold.gateway.calls.ports import Whom
from freehold.gateway.money.prices import UNKNOWN
from tests.purses import TENANT, WHOM, purse, talk


async def test_what_a_call_cost_is_spent_and_what_it_held_comes_back(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(1_000)
        assert await money.call(30) == 30
        assert (await money.spent(), money.books.held(TENANT)) == (30, 0)


async def test_books_that_begin_anew_know_what_was_spent(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(1_000)
        await money.limit(500, BudgetScope.AGENT, "agt_1", Period.DAY)
        await money.call(30)
        await money.call(40)
        again = money.again()
        assert (await again.spent(), await again.spent(BudgetScope.AGENT)) == (70, 70)


async def test_a_call_that_does_not_fit_says_what_is_left_and_when_there_is_more(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(50)
        await money.call(45)
        with pytest.raises(Exhausted) as refused:
            await money.call(1)
    assert (refused.value.status, refused.value.code) == (402, "budget_exhausted")
    assert refused.value.facts == {
        "scope": "tenant",
        "subject": "",
        "period": "month",
        "limit_nano": 50,
        "spent_nano": 45,
        "held_nano": 0,
        "left_nano": 5,
        "resets_at": "2026-02-01T00:00:00.000Z",
    }
    assert "2026-02-01" in refused.value.remedy


async def test_near_the_limit_an_answer_is_shortened_to_what_is_left(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(60)
        hold = await money.books.hold(WHOM, talk(100, entering=10), own=False)
        assert (hold.max_output, hold.clamped, hold.nano) == (50, True, 60)


async def test_what_a_provider_took_beyond_the_limit_is_not_charged(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(60)
        assert await money.call(1_000) == 60
        assert await money.spent() == 60


async def test_a_call_waits_for_money_that_another_holds(tmp_path: Path) -> None:
    async with purse(tmp_path, patience=30) as money:
        await money.limit(150)
        first = await money.books.hold(WHOM, talk(100), own=False)
        second = asyncio.create_task(money.books.hold(WHOM, talk(100), own=False))
        await asyncio.sleep(0)
        assert not second.done()
        money.books.settle(first, 20)
        assert (await second).nano == 110


async def test_an_unknown_price_is_refused_to_those_with_a_limit_only(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        assert await money.call(5, talk(price=UNKNOWN)) == 5
        await money.limit(1_000_000)
        with pytest.raises(Exhausted) as refused:
            await money.call(5, talk(price=UNKNOWN))
    assert refused.value.code == "price_unknown"


async def test_a_thousand_calls_at_once_on_a_tiny_limit_use_nearly_all_of_it_and_never_more(tmp_path: Path) -> None:
    async with purse(tmp_path, patience=30) as money:
        await money.limit(10_000)
        over: list[int] = []

        async def one(number: int) -> int:
            try:
                hold = await money.books.hold(
                    Whom(tenant=TENANT, agent=f"agt_{number % 7}", attended=True), talk(100, entering=10), own=False
                )
            except Exhausted:
                return 0
            await asyncio.sleep(0)
            charged = money.books.settle(hold, 10 + number % 90)
            (tally,) = await money.books.state(TENANT)
            over.append(int(tally["spent_nano"]) + int(tally["held_nano"]) - 10_000)
            return charged

        charged = await asyncio.gather(*(one(number) for number in range(1_000)))
        assert max(over) <= 0
        assert sum(charged) == await money.spent()
        assert sum(charged) >= 9_000
        assert money.books.held(TENANT) == 0
