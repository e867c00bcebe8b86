"""The tail of the events hears of a commit from whatever thread made it."""

import asyncio
from pathlib import Path

from freehold.store.db import Database, sqlite_address
from freehold.store.migrating import MIGRATIONS
from freehold.store.scope import Store
from freehold.store.threads import in_thread
from freehold.testing.clock import START
from freehold.web.tail import Tail
from tests.shelves import taken


async def test_a_commit_in_any_thread_is_heard_at_once(tmp_path: Path) -> None:
    database = taken(MIGRATIONS, tmp_path / "freehold.db")
    tail = Tail(Store(database))
    following = asyncio.create_task(tail.follow())

    def commit(number: int) -> None:
        with Store(database).tenant("ten_1").write() as scope:
            scope.events.append("run_1", f"tick.{number}", {}, at=START)
        tail.poke()

    async with tail.watch("run_1") as watch:
        await asyncio.gather(*(in_thread(commit, number) for number in range(30)))
        heard = [await watch.next(5) for _ in range(30)]

    assert {item["type"] for item in heard if item} == {f"tick.{number}" for number in range(30)}
    assert [item["seq"] for item in heard if item] == list(range(1, 31))
    following.cancel()
    database.close()


async def test_a_poke_after_the_loop_has_gone_is_harmless(tmp_path: Path) -> None:
    tail = Tail(Store(Database(sqlite_address(tmp_path / "freehold.db"))))
    tail.poke()
