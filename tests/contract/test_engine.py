"""Every engine keeps the promises of the port; those of DBOS are held against the pinned version."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from typing_extensions import override

from freehold.drivers.engine.dbos.driver import DbosDispatcher, DbosEngine, prepare
from freehold.runs.engine import Dispatcher, Engine
from freehold.store.db import Database
from freehold.store.migrating import MIGRATIONS
from freehold.store.schema import metadata
from freehold.testing.clock import FakeClock
from freehold.testing.contract.engine import Carrier, EngineContract, Half, ticket, until
from freehold.testing.engine import MemoryEngine
from tests.shelves import taken


@pytest.fixture(autouse=True)
def shelved(tmp_path: Path) -> None:
    """Put a store in the place where the suite makes one: migrating takes longer than most of its tests."""
    taken(MIGRATIONS, tmp_path / "freehold.db").close()


class TestMemoryEngine(EngineContract):
    @override
    def halves(self, database: Database) -> tuple[Engine, Dispatcher]:
        engine = MemoryEngine(slots=2)
        return engine, engine


class TestDbosEngine(EngineContract):
    @override
    def halves(self, database: Database) -> tuple[Engine, Dispatcher]:
        prepare(database)
        return DbosEngine(database, slots=2), dispatcher(database)

    async def test_a_kick_makes_it_look_at_once(self, half: Half, carrier: Carrier) -> None:
        half.submit(ticket(1))
        await until(lambda: len(carrier.ended) == 1)
        began = asyncio.get_running_loop().time()
        for number in range(2, 7):
            half.submit(ticket(number))
            await until(lambda: carrier.ended[-1] == ticket(number))  # noqa: B023 - awaited at once
        assert asyncio.get_running_loop().time() - began < 2.5, "five looks at poll speed would take five seconds"

    async def test_without_a_kick_it_is_noticed_all_the_same(self, half: Half, carrier: Carrier) -> None:
        with half.database.write() as connection:
            half.engine.submit(connection, tenant="ten_1", run="run_1", segment=1, slot=0)
        await until(lambda: carrier.ended == [ticket(1)])

    async def test_what_a_dead_worker_had_is_brought_again(self, half: Half, carrier: Carrier) -> None:
        gate = carrier.hold(ticket(1))
        half.submit(ticket(1))
        await until(lambda: carrier.begun == [ticket(1)])
        with half.database.write() as connection:
            connection.execute(sa.text("update workflow_status set executor_id = 'dead'"))
        gate.set()
        assert half.dispatcher.take_over(["somebody else"]) == 0
        assert half.dispatcher.take_over(None) == 1
        half.dispatcher.kick()
        await until(lambda: carrier.begun == [ticket(1), ticket(1)])

    async def test_what_nobody_carries_gives_its_slot_back(self, half: Half, carrier: Carrier) -> None:
        gate = carrier.hold(ticket(1))
        half.submit(ticket(1))
        await until(lambda: carrier.begun == [ticket(1)])
        assert [half.dispatcher.take_back() for _ in range(3)] == [0, 0, 0], "it is carried"
        gate.set()
        await until(lambda: half.missing(ticket(1)) == [ticket(1)])
        with half.database.write() as connection:  # as where its end could not be written
            connection.execute(sa.text("update workflow_status set status = 'PENDING'"))
        half.submit(ticket(2))
        assert half.dispatcher.take_back() == 0
        assert carrier.begun == [ticket(1)], "the slot is taken"
        # The thread that carried it may still be on its way out; then it is found so a call later.
        await until(lambda: half.dispatcher.take_back() == 1)
        half.dispatcher.kick()
        await until(lambda: carrier.ended == [ticket(1), ticket(1), ticket(2)])

    async def test_what_is_left_at_draining_stays_for_a_successor(self, half: Half, carrier: Carrier) -> None:
        carrier.hold(ticket(1))
        half.submit(ticket(1))
        await until(lambda: carrier.begun == [ticket(1)])
        await half.dispatcher.drain(0)
        assert half.missing(ticket(1)) == []
        successor, again = dispatcher(half.database, worker="worker-2"), Carrier()
        assert successor.take_over(None) == 1
        await successor.start(again)
        await until(lambda: again.ended == [ticket(1)])
        await successor.drain(0)

    async def test_old_rows_are_dropped_and_none_holds_more_than_ids(self, half: Half, carrier: Carrier) -> None:
        half.submit(ticket(1))
        await until(lambda: half.missing(ticket(1)) == [ticket(1)])
        with half.database.read() as connection:
            rows = connection.execute(sa.text("select inputs from workflow_input")).scalars().all()
        assert rows == ['{"namedArgs":{},"positionalArgs":["ten_1","run_1",1,0]}']
        with half.database.write() as connection:
            connection.execute(sa.text("update workflow_status set updated_at = 0"))
        assert half.dispatcher.tidy() == 1
        assert half.dispatcher.tidy() == 0
        with half.database.read() as connection:
            assert connection.execute(sa.text("select count(*) from workflow_input")).scalar() == 0

    async def test_preparing_twice_and_after_a_loss_makes_the_tables(self, half: Half) -> None:
        prepare(half.database)
        drop_engine_tables(half.database)
        prepare(half.database)
        assert half.missing(ticket(1)) == [ticket(1)]


def dispatcher(database: Database, worker: str = "worker-1") -> DbosDispatcher:
    return DbosDispatcher(database, worker=worker, at_once=3, clock=FakeClock())


def drop_engine_tables(database: Database) -> None:
    """Drop whatever DBOS made, the table of its own migrations included."""
    with database.write() as connection:
        query = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
        names = set(connection.execute(sa.text(query)).scalars())
        for name in names - metadata.tables.keys() - {"alembic_version"}:
            connection.execute(sa.text(f'drop table "{name}"'))
