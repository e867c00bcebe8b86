"""What is written together: each has its own fate, and all that is answered is on disk."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection as Tx
from sqlalchemy import exc, func, insert, select, text

from freehold.audit.asking import Asking, asking
from freehold.core.errors import Conflict
from freehold.gateway.asked import Whom
from freehold.gateway.money import meter
from freehold.gateway.money_tables import accounts, usage
from freehold.gateway.tables import audit, epochs
from freehold.store.db import Database, sqlite_address
from freehold.store.prepared import Prepared
from tests.purses import TENANT, Purse, purse


def opening(money: Purse, run: str) -> meter.Opening:
    return meter.Opening(whom=Whom(tenant=TENANT, run=run), opened_at=money.clock.now())


async def counted(money: Purse) -> int:
    return await money.keep.read(lambda tx: tx.execute(select(func.count()).select_from(usage)).scalar_one())


async def test_a_work_that_raises_undoes_only_itself(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:

        async def one(number: int) -> str:
            def work(tx: Tx) -> str:
                made = meter.open(tx, money.keep, opening(money, f"run_{number}"))
                if number % 3 == 0:
                    raise Conflict(f"number {number}")
                return made

            return await money.keep.write(work)

        told = await asyncio.gather(*(one(number) for number in range(300)), return_exceptions=True)
        errors = [one for one in told if isinstance(one, Conflict)]
        assert [error.message for error in errors] == [f"number {number}" for number in range(0, 300, 3)]
        assert await counted(money) == 200
        rows = await money.keep.read(lambda tx: set(tx.execute(select(usage.c.id)).scalars()))
        assert rows == {one for one in told if isinstance(one, str)}


async def test_what_is_done_later_is_seen_by_whatever_asks_in_between(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:

        def noted(tx: Tx) -> int:
            return len(tx.execute(select(audit.c.position).where(audit.c.action == "told")).all())

        def work(tx: Tx) -> int:
            before = noted(tx)
            money.keep.note(tx, TENANT, actor="a", action="told", subject="b")
            return noted(tx) - before

        assert await money.keep.write(work) == 1
        assert await asyncio.gather(*(money.keep.write(work) for _ in range(40))) == [1] * 40
        assert await money.keep.read(noted) == 41


async def test_who_fails_beside_others_undoes_nothing_that_they_do_later(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:

        def good(tx: Tx) -> None:
            meter.open(tx, money.keep, opening(money, "run_1"))

        def bad(tx: Tx) -> None:
            meter.open(tx, money.keep, opening(money, "run_2"))
            tx.execute(select(usage.c.id)).all()
            raise Conflict("no")

        works = [money.keep.write(bad if number % 2 else good, plain=number % 4 == 0) for number in range(80)]
        told = await asyncio.gather(*works, return_exceptions=True)
        assert sum(isinstance(one, Conflict) for one in told) == 40
        assert await counted(money) == 40


async def test_works_are_done_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        done: list[int] = []

        def work(number: int) -> Callable[[Tx], None]:
            return lambda _: done.append(number)

        await asyncio.gather(*(money.keep.write(work(number)) for number in range(500)))
        assert done == list(range(500))


async def test_what_was_answered_is_there_for_somebody_else_to_read(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:

        async def one(number: int) -> None:
            await money.keep.write(lambda tx: meter.open(tx, money.keep, opening(money, f"run_{number}")))
            other = sqlite3.connect(tmp_path / "gateway.db")
            found = other.execute("select count(*) from usage where run = ?", (f"run_{number}",)).fetchone()
            other.close()
            assert found == (1,)

        await asyncio.gather(*(one(number) for number in range(64)))


async def test_where_the_store_fails_nothing_stands_and_everyone_is_told(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:

        async def good(number: int) -> None:
            await money.keep.write(lambda tx: meter.open(tx, money.keep, opening(money, f"run_{number}")))

        async def bad() -> None:
            await money.keep.write(lambda tx: tx.execute(text("insert into nowhere values (1)")))

        told = await asyncio.gather(good(0), good(1), bad(), good(2), return_exceptions=True)
        written = await counted(money)
        assert written == sum(one is None for one in told)
        assert isinstance(told[2], Exception)


async def test_somebody_who_went_away_takes_nobody_along(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:

        def work(number: int) -> Callable[[Tx], str]:
            return lambda tx: meter.open(tx, money.keep, opening(money, f"run_{number}"))

        works = [asyncio.create_task(money.keep.write(work(number))) for number in range(10)]
        await asyncio.sleep(0)
        works[5].cancel()
        told = await asyncio.gather(*works, return_exceptions=True)
        assert isinstance(told[5], asyncio.CancelledError)
        assert sum(isinstance(one, str) for one in told) == 9
        assert await counted(money) in {9, 10}


async def test_a_work_knows_who_asked(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:

        async def one(number: int) -> None:
            asking.set(Asking(request=f"req_{number}"))
            assert await money.keep.write(lambda _: asking.get().request) == f"req_{number}"

        await asyncio.gather(*(asyncio.create_task(one(number)) for number in range(20)))


async def test_nothing_is_written_after_the_end(tmp_path: Path) -> None:
    async with purse(tmp_path) as money:
        pass
    with pytest.raises(RuntimeError):
        await money.keep.write(lambda _: None)


async def test_a_row_that_is_there_already_fails_alone_and_its_values_are_not_told(tmp_path: Path) -> None:
    statement = Prepared(insert(epochs), epochs.c.keys())

    async with purse(tmp_path) as money:

        async def one(run: str) -> None:
            await money.keep.write(lambda tx: statement.run(tx, {"tenant": TENANT, "run": run, "epoch": 1}))

        runs = ["run_1", "run_2", "run_secret", "run_secret", "run_3"]
        told = await asyncio.gather(*(one(run) for run in runs), return_exceptions=True)
        written = await money.keep.read(lambda tx: set(tx.execute(select(epochs.c.run)).scalars()))
    assert [type(error) for error in told if error] == [exc.IntegrityError]
    assert "run_secret" not in str(told[3])
    assert written == set(runs)


def test_what_needs_spelling_every_time_is_not_prepared(tmp_path: Path) -> None:
    database = Database(sqlite_address(tmp_path / "x.db"))
    with database.read() as tx, pytest.raises(TypeError):
        Prepared(insert(accounts), accounts.c.keys()).run(tx, {})
    database.close()
