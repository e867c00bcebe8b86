"""What the books promise: nobody spends more than a limit, nobody is refused what is there, nothing leaks."""

import asyncio
from pathlib import Path

import pytest

from freehold.core.errors import Exhausted
from freehold.core.money import BudgetScope, Period
from freehold.gateway.formats import Whom
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


@pytest.mark.parametrize("stated", [True, False])
async def test_a_hundred_streams_at_once_use_a_limit_up_and_go_side_by_side(tmp_path: Path, *, stated: bool) -> None:
    limit, used = (1_000_000, 10_500) if stated else (320_000, 3_000)
    async with purse(tmp_path, patience=30) as money:
        await money.limit(limit)
        under_way = most = charged = 0

        async def stream(number: int) -> None:
            nonlocal under_way, most, charged
            estimate = talk(65_536 if not stated else 12_000, entering=200, least=16, stated=stated)
            try:
                hold = await money.books.hold(WHOM, estimate, own=False)
            except Exhausted:
                return
            under_way += 1
            most = max(most, under_way)
            for _ in range(20):
                await asyncio.sleep(0)
            under_way -= 1
            charged += money.books.settle(hold, min(hold.nano, used + number * 37 % 1_000))

        await asyncio.gather(*(stream(number) for number in range(100)))
        assert await money.spent() == charged
        assert limit * 0.9 <= charged <= limit
        assert most >= 30
        assert money.books.held(TENANT) == 0


async def test_who_waits_goes_in_the_order_of_coming_and_nobody_overtakes(tmp_path: Path) -> None:
    async with purse(tmp_path, patience=30) as money:
        await money.limit(120)
        order: list[int] = []
        first = await money.books.hold(WHOM, talk(100), own=False)

        async def one(number: int) -> None:
            hold = await money.books.hold(WHOM, talk(100 if number else 60, entering=0), own=False)
            order.append(number)
            await asyncio.sleep(0)
            money.books.release(hold)

        tasks = [asyncio.create_task(one(number)) for number in range(5)]
        for _ in range(3):
            await asyncio.sleep(0)
        small = asyncio.create_task(money.books.hold(WHOM, talk(5, entering=0), own=False))
        await asyncio.sleep(0)
        assert not small.done()
        money.books.release(first)
        await asyncio.gather(*tasks)
        assert order == list(range(5))
        assert (await small).nano == 5


async def test_an_agent_at_its_limit_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    async with purse(tmp_path, patience=30) as money:
        await money.limit(10_000)
        await money.limit(110, BudgetScope.AGENT, "agt_1", Period.DAY)
        first = await money.books.hold(WHOM, talk(100), own=False)
        stuck = asyncio.create_task(money.books.hold(WHOM, talk(100), own=False))
        await asyncio.sleep(0)
        other = await asyncio.wait_for(
            money.books.hold(Whom(tenant=TENANT, agent="agt_2"), talk(100), own=False), timeout=1
        )
        assert not stuck.done()
        money.books.release(other)
        money.books.release(first)
        money.books.release(await stuck)
        assert money.books.held(TENANT) == 0


async def test_who_waited_long_enough_takes_what_is_there_or_is_refused(tmp_path: Path) -> None:
    async with purse(tmp_path, patience=0.01) as money:
        await money.limit(140)
        first = await money.books.hold(WHOM, talk(100), own=False)
        second = await money.books.hold(WHOM, talk(100), own=False)
        assert (second.nano, second.max_output, second.clamped) == (30, 20, True)
        with pytest.raises(Exhausted) as refused:
            await money.books.hold(WHOM, talk(100), own=False)
        assert (refused.value.facts["held_nano"], refused.value.facts["retry_after"]) == (140, 10.0)
        assert "under way" in refused.value.message
        assert refused.value.after > 0
        money.books.release(first)
        money.books.release(second)


async def test_a_caller_who_goes_away_while_waiting_holds_nothing(tmp_path: Path) -> None:
    async with purse(tmp_path, patience=30) as money:
        await money.limit(120)
        first = await money.books.hold(WHOM, talk(100), own=False)
        gone = asyncio.create_task(money.books.hold(WHOM, talk(100), own=False))
        behind = asyncio.create_task(money.books.hold(WHOM, talk(100), own=False))
        await asyncio.sleep(0)
        gone.cancel()
        money.books.release(first)
        money.books.release(await behind)
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert money.books.held(TENANT) == 0


async def test_many_who_come_first_share_one_reading_of_the_rows(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(10_000_000)
        for _ in range(3):
            await money.call(7)
        again = money.again()
        holds = await asyncio.gather(*(again.books.hold(WHOM, talk(), own=False) for _ in range(64)))
        assert await again.spent() == 21
        assert again.books.held(TENANT) == 64 * 110
        for hold in holds:
            again.books.release(hold)


async def test_sixty_four_at_a_barrier_never_pass_a_tiny_limit(tmp_path: Path) -> None:
    async with purse(tmp_path, patience=0.01) as money:
        await money.limit(300)
        barrier = asyncio.Barrier(64)

        async def one() -> int:
            await barrier.wait()
            try:
                return await money.call(90)
            except Exhausted:
                return 0

        charged = await asyncio.gather(*(one() for _ in range(64)))
        assert sum(charged) == await money.spent() == await money.again().spent()
        assert 270 <= sum(charged) <= 300


async def test_settling_or_releasing_twice_changes_nothing(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        await money.limit(1_000)
        hold = await money.books.hold(WHOM, talk(), own=False)
        assert money.books.settle(hold, 30) == 30
        assert money.books.settle(hold, 90) == 30
        money.books.release(hold)
        assert (await money.spent(), money.books.held(TENANT)) == (30, 0)


async def test_who_waited_past_midnight_counts_in_the_day_that_began(tmp_path: Path) -> None:
    async with purse(tmp_path, patience=0.2) as money:
        await money.limit(140, period=Period.DAY)
        first = await money.books.hold(WHOM, talk(100), own=False)
        waiting = asyncio.create_task(money.books.hold(WHOM, talk(100), own=False))
        await asyncio.sleep(0)
        money.clock.wind(86_400)
        second = await waiting
        assert (second.nano, second.clamped) == (110, False)
        assert await money.closed(second, await money.opened(second), 100) == 100
        assert await money.spent() == await money.again().spent() == 100
        money.books.release(first)


async def test_a_limit_that_was_lowered_while_somebody_waited_holds_for_him_too(tmp_path: Path) -> None:
    async with purse(tmp_path, patience=0.05) as money:
        await money.limit(140)
        first = await money.books.hold(WHOM, talk(100), own=False)
        waiting = asyncio.create_task(money.books.hold(WHOM, talk(100), own=False))
        await asyncio.sleep(0)
        await money.limit(111)
        with pytest.raises(Exhausted):
            await waiting
        money.books.release(first)
        assert money.books.held(TENANT) == 0
