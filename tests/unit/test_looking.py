"""A duty looks for work after a commit of anybody, and after a while in any case; nothing else costs more than asking."""

import asyncio
import contextlib
from pathlib import Path

import pytest
import uvicorn
from sqlalchemy import text

from freehold.app.serving import Server
from freehold.store.db import Database, sqlite_address
from freehold.store.looking import SECONDS, Look
from freehold.testing.clock import FakeClock
from freehold.testing.contract.engine import until


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(sqlite_address(tmp_path / "some.db"))
    with made.write() as tx:
        tx.execute(text("create table things (n)"))
    return made


def put_in(database: Database) -> None:
    with database.write() as tx:
        tx.execute(text("insert into things values (1)"))


def rested(database: Database, clock: FakeClock) -> Look:
    """Return what has looked once."""
    look = Look(database, clock)
    assert look.due()
    assert not look.due()
    return look


def test_where_nothing_is_committed_nobody_looks_until_the_net(database: Database) -> None:
    clock = FakeClock()
    look = rested(database, clock)
    with database.read() as tx:
        tx.execute(text("select * from things")).all()
    clock.wind(SECONDS - 1)
    assert not look.due()
    clock.wind(1)
    assert look.due()
    assert not look.due()


def test_a_commit_lets_everybody_look_once(database: Database) -> None:
    clock = FakeClock()
    looks = [rested(database, clock) for _ in range(3)]
    put_in(database)
    assert [look.due() for look in looks] == [True] * 3
    assert [look.due() for look in looks] == [False] * 3


def test_a_commit_of_another_process_is_noticed(database: Database) -> None:
    look = rested(database, FakeClock())
    another = Database(sqlite_address(Path(str(database.engine.url.database))))
    put_in(another)
    assert look.due()
    another.close()


def test_what_is_undone_is_no_commit(database: Database) -> None:
    look = rested(database, FakeClock())
    with contextlib.suppress(ZeroDivisionError), database.write() as tx:
        tx.execute(text("insert into things values (1)"))
        raise ZeroDivisionError
    assert not look.due()


def test_a_commit_during_the_look_is_seen_by_the_next(database: Database) -> None:
    look = Look(database, FakeClock())
    assert look.due()
    put_in(database)  # whoever looked had read before
    assert look.due()


def test_a_look_that_broke_is_made_again(database: Database) -> None:
    look = rested(database, FakeClock())
    look.again()
    assert look.due()
    assert not look.due()


def test_what_becomes_due_by_itself_is_looked_at_in_time(database: Database) -> None:
    clock = FakeClock()
    look = rested(database, clock)
    look.within(3)
    clock.wind(2)
    assert not look.due()
    clock.wind(1)
    assert look.due()
    look.within(-1)
    assert look.due()


def test_a_later_moment_puts_nothing_off(database: Database) -> None:
    clock = FakeClock()
    look = rested(database, clock)
    look.within(3)
    look.within(3600)
    clock.wind(3)
    assert look.due()


def test_a_database_that_is_closed_or_cannot_tell_is_always_looked_into(database: Database) -> None:
    clock = FakeClock()
    look = rested(database, clock)
    database.close()
    assert look.due()
    assert look.due()


def test_asking_makes_no_database(tmp_path: Path) -> None:
    Database(sqlite_address(tmp_path / "none.db")).version()
    assert list(tmp_path.iterdir()) == []


async def test_a_server_that_is_told_to_end_ends_at_once() -> None:
    async def app(_scope: object, _receive: object, _send: object) -> None: ...

    server = Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="none", date_header=False))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    server.should_exit = True
    await asyncio.wait_for(serving, 5)
