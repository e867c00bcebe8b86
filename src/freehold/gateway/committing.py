"""
Group commit: everybody's writing that waits is done in one transaction, so that one wait for the disk serves all.

A work has a savepoint of its own: one that raises undoes itself and nobody else's. Where the store itself fails,
nothing of the transaction stands, and everyone in it is told.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, final

from sqlalchemy import Connection, exc

from freehold.store import prepared
from freehold.store.db import Database

T = TypeVar("T")
BEHIND_SECONDS: Final = 0.05
"""How long what nobody waits for may wait for company."""
MAX_TOGETHER: Final = 128
"""Works in one transaction; more would keep the first of them waiting."""


@final
@dataclass(slots=True, eq=False)
class _Work:
    """Something to write, and who waits for it."""

    do: Callable[[Connection], Any]
    context: Context
    plain: bool
    loop: asyncio.AbstractEventLoop
    told: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = field(default=None)

    def tell(self) -> None:
        if self.told.done():
            return
        if self.error is None:
            self.told.set_result(self.result)
        else:
            self.told.set_exception(self.error)


@final
class Commits:
    """Writes what many ask for, in the order they asked, together."""

    def __init__(self, database: Database, thread: ThreadPoolExecutor) -> None:
        """Write to `database` in `thread`, which has one thread only."""
        self._database, self._thread = database, thread
        self._waiting: deque[_Work] = deque()
        self._called = False
        self._later: asyncio.TimerHandle | None = None

    async def write(self, work: Callable[[Connection], T], *, behind: bool = False, plain: bool = False) -> T:
        """
        Return what `work` returned, once it is on disk.

        What is done `behind` waits a little for others to share their wait for the disk with it. What is `plain` only
        reads, and writes by what is done later: it needs no savepoint to be undone.
        """
        loop = asyncio.get_running_loop()
        one = _Work(work, copy_context(), plain, loop, loop.create_future())
        self._waiting.append(one)
        if not behind:
            self._call()
        elif not self._called and self._later is None:
            self._later = loop.call_later(BEHIND_SECONDS, self._call)
        result: T = await one.told
        return result

    def _call(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if not self._called:
            self._called = True
            self._thread.submit(self._drain)

    def _drain(self) -> None:
        # Said first: whoever comes from here on calls again, and at worst finds that nothing is left.
        self._called = False
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_TOGETHER))]
            wanted = [one for one in batch if not one.told.cancelled()]
            self._do(wanted)
            for loop in {one.loop for one in wanted}:
                _call(loop, [one for one in wanted if one.loop is loop])

    def _do(self, batch: list[_Work]) -> None:
        try:
            with self._database.write() as tx:
                if len(batch) == 1:
                    batch[0].result = batch[0].context.run(batch[0].do, tx)
                else:
                    _each(tx, batch)
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait are told
            for one in batch:
                one.error = one.error or error


def _each(tx: Connection, batch: list[_Work]) -> None:
    cursor = tx.connection.cursor()  # the driver's own: a savepoint costs next to nothing this way
    try:
        for one in batch:
            _one(tx, one, None if one.plain else cursor)
    finally:
        cursor.close()


def _one(tx: Connection, one: _Work, cursor: Any) -> None:
    if cursor is not None:
        prepared.finish(tx)  # what others left for later is not undone with this one
        cursor.execute("SAVEPOINT one")
    before = prepared.waiting(tx)
    try:
        one.result = one.context.run(one.do, tx)
    except exc.OperationalError:
        raise  # the store: there may be no transaction any more
    except BaseException as error:  # noqa: BLE001 - its own affair
        one.error = error
        prepared.forget(tx, before)
        if cursor is not None:
            cursor.execute("ROLLBACK TO SAVEPOINT one")
    if cursor is not None:
        cursor.execute("RELEASE SAVEPOINT one")


def _call(loop: asyncio.AbstractEventLoop, batch: list[_Work]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(_tell, batch)


def _tell(batch: list[_Work]) -> None:
    for one in batch:
        one.tell()
