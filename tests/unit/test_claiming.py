"""The choice of segments that begin: right, and as cheap with a long queue as with a short one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from freehold.drivers.engine.dbos import claiming
from freehold.drivers.engine.dbos.driver import PROTOCOL, QUEUE, DbosEngine, prepare
from freehold.store.db import Database, sqlite_address

CHOICE = {"queue": QUEUE, "version": PROTOCOL, "most": 500, "owner": "o", "executor": "worker_1", "now": 1}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(sqlite_address(tmp_path / "freehold.db"))
    prepare(made)
    yield made
    made.close()


def submit(database: Database, *runs: tuple[str, str, int]) -> None:
    engine = DbosEngine(database, slots=4)
    with database.write() as connection:
        for tenant, run, slot in runs:
            engine.submit(connection, tenant=tenant, run=run, segment=1, slot=slot)


def claim(database: Database, **other: object) -> set[str]:
    with database.write() as connection:
        return set(connection.execute(claiming._CLAIM, CHOICE | other).scalars())


def test_the_oldest_of_every_slot_begins_and_the_others_wait_for_it(database: Database) -> None:
    submit(database, ("a", "run_2", 0), ("a", "run_1", 0), ("a", "run_3", 1), ("b", "run_4", 0))
    assert claim(database) == {"run_1:1", "run_3:1", "run_4:1"}
    assert claim(database) == set()


def test_no_more_begin_than_there_is_room_for(database: Database) -> None:
    submit(database, *((f"t{n}", f"run_{n}", 0) for n in range(5)))
    assert len(claim(database, most=2)) == 2
    assert len(claim(database, most=500)) == 3


def test_segments_of_another_protocol_are_left_to_those_who_know_it(database: Database) -> None:
    submit(database, ("a", "run_1", 0))
    assert claim(database, version="segments-2") == set()


@pytest.mark.parametrize("statement", [claiming._CLAIM, claiming._ANY], ids=["claim", "look"])
def test_nothing_reads_the_whole_table(database: Database, statement: sa.TextClause) -> None:
    with database.read() as connection:
        plan = [row[3] for row in connection.execute(sa.text(f"explain query plan {statement.text}"), CHOICE)]
    assert any("workflow_status USING" in line for line in plan)
    assert not [line for line in plan if line.startswith("SCAN workflow_status")]
