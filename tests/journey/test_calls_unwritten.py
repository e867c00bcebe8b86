"""Calls whose rows cannot be written when they should be: nothing is charged for nothing, nothing is told wrongly later."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection as Tx
from sqlalchemy import select

from freehold.core.errors import Exhausted, FreeholdError
from freehold.core.money import UsageState
from freehold.drivers.model.rehearsal.driver import RehearsalModel
from freehold.gateway.calls.engine import Engine
from freehold.gateway.calls.passage import Passage
from freehold.gateway.calls.routing import Ways
from freehold.gateway.connections import Drivers
from freehold.gateway.formats import Api, Asked, Caller
from freehold.gateway.money.prices import Prices
from freehold.gateway.money_tables import usage
from tests.purses import TENANT, WHOM, Purse, purse

QUESTION = b'{"messages":[{"role":"user","content":"Hello"}],"max_tokens":50}'


@dataclass
class Full:
    """Tells nothing, and finds the disk full the first times that something came to its end."""

    times: int
    plain: bool = False
    told: list[str] = field(default_factory=list)

    def opening(self, _tx: Tx, usage_id: str, _detail: dict[str, Any]) -> None:
        self.told.append(usage_id)

    def closing(self, _tx: Tx, _passage: Passage, _detail: dict[str, Any]) -> None:
        self.times -= 1
        if self.times >= 0:
            raise Exhausted("There is no room left.", code="disk_full", status=507)


@dataclass
class Counter:
    """An engine, and the money it spends."""

    purse: Purse
    engine: Engine

    def asked(self, model: str = "rehearsal") -> Asked:
        return Asked(api=Api.CHAT, model=model, body=QUESTION, max_output=50)

    async def rows(self) -> list[tuple[UsageState, int, int]]:
        """Return state, hold and charge of every row, once nothing is being written any more."""
        await self.engine.drain()
        rows = await self.purse.keep.read(lambda tx: tx.execute(select(usage).order_by(usage.c.id)).all())
        return [(row.state, row.hold_nano, row.charge_nano) for row in rows]


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with purse(tmp_path) as money:
        await money.limit(10**9)
        drivers = Drivers(models={"rehearsal": RehearsalModel(money.clock)}, connectors={})
        ways = Ways(money.keep, drivers, Prices(lists={}, now=money.clock.now), rehearsal=True)
        yield Counter(money, Engine(money.keep, ways, money.books, seconds=5, sleep=money.clock.sleep))


async def test_a_call_given_up_while_its_row_is_written_costs_nothing_and_leaves_none_open(counter: Counter) -> None:
    began, gate = threading.Event(), threading.Event()

    def still(_tx: Tx) -> None:
        began.set()
        gate.wait(10)

    asking = asyncio.create_task(counter.engine.call(Caller(whom=WHOM, still=still), counter.asked()))
    await asyncio.to_thread(began.wait, 10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    gate.set()
    ((state, hold, charge),) = await counter.rows()
    assert (state, hold > 0, charge) == (UsageState.CLOSED, True, 0)
    assert (counter.purse.books.held(TENANT), await counter.purse.again().spent()) == (0, 0)


async def test_a_call_given_up_before_its_row_leaves_none(counter: Counter) -> None:
    gate = threading.Event()
    blocking = asyncio.create_task(counter.purse.keep.write(lambda _tx: gate.wait(10)))
    await asyncio.sleep(0)
    asking = asyncio.create_task(counter.engine.call(Caller(whom=WHOM), counter.asked()))
    await asyncio.wait([asking], timeout=0.2)
    assert counter.purse.books.held(TENANT) > 0
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    gate.set()
    await blocking
    assert await counter.rows() == []
    assert counter.purse.books.held(TENANT) == 0


async def test_an_attempt_that_failed_on_a_full_disk_is_closed_when_there_is_room(counter: Counter) -> None:
    told = Full(times=3)
    with pytest.raises(FreeholdError):
        await counter.engine.call(Caller(whom=WHOM), counter.asked("rehearsal?fail=401"), told)
    (row,) = await counter.rows()
    assert (row[0], row[2]) == (UsageState.CLOSED, 0)
    assert await counter.purse.again().spent() == await counter.purse.spent() == 0


async def test_an_answer_on_a_full_disk_is_written_down_as_it_was_when_there_is_room(counter: Counter) -> None:
    told = Full(times=3)
    passage = await counter.engine.call(Caller(whom=WHOM), counter.asked(), told)
    assert b"".join([piece async for piece in passage.pieces()])
    with pytest.raises(Exhausted):
        await counter.engine.close(passage, told)
    (row,) = await counter.rows()
    assert row[0] == UsageState.CLOSED
    assert row[2] == await counter.purse.again().spent() == await counter.purse.spent() > 0
