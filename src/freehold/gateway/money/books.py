"""
The books: what everyone has spent and what is held, in memory, with the event loop as their one owner.

A call's money is held in one step in which nothing else can happen, before anything is written or dialled; so
`spent + held` never passes a limit, whoever asks at once. A tenant's book is read from the meter's rows when it is first
asked for, and a window of time when it begins. What is counted here is never written: the rows are the truth.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.core.errors import Exhausted
from freehold.core.money import Budget, BudgetScope, Period, window
from freehold.gateway.asked import Whom
from freehold.gateway.keeping import Keep
from freehold.gateway.money import accounts, budgets, counters, refusals, sums
from freehold.gateway.money.accounts import Account
from freehold.gateway.money.book import Book
from freehold.gateway.money.bounds import Estimate
from freehold.gateway.money.counters import Tally
from freehold.gateway.money.queueing import REFUSED, WAIT, Offer, Waiting, offer
from freehold.gateway.money.sums import Spent
from freehold.gateway.money.warnings import Crossing, crossed, note, reached

log = logging.getLogger(__name__)

PATIENCE: Final = 20.0
"""Seconds a call waits for money that others hold."""
MAX_QUEUE: Final = 2_000
"""Calls of one tenant that wait; more are refused at once."""


@final
@dataclass(slots=True, eq=False)
class Hold:
    """Money held back for one call."""

    tenant: str
    nano: int
    cost: int
    """What the provider may take for it: the hold without the mark-up."""
    max_output: int | None
    """Tokens that the answer may have; none where the API has no such limit."""
    clamped: bool
    """Whether that is less than was asked for."""
    opened_at: datetime
    """When; the call counts to the windows this lies in, and its row says the same."""
    own: bool
    tallies: tuple[Tally, ...]
    charged: int | None = None
    """Set once it is settled or released."""
    crossed: tuple[Crossing, ...] = ()
    """The marks of limits that settling it passed: to be noted where the row is closed."""

    @property
    def limited(self) -> bool:
        """Whether any limit stands over it; a stream past its hold is cut only then."""
        return any(tally.limit is not None for tally in self.tallies)


@final
class Books:
    """The one owner of all counters."""

    def __init__(self, keep: Keep, *, patience: float = PATIENCE) -> None:
        """Count what `keep` has rows of; a call waits `patience` seconds for money that others hold."""
        self._keep, self._patience = keep, patience
        self._books: dict[str, Book] = {}
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._noting: set[asyncio.Task[None]] = set()

    async def hold(self, whom: Whom, estimate: Estimate, *, own: bool) -> Hold:
        """
        Hold the most that a call can cost, or as much of it as there is; `own` is a call by the tenant's own account.

        Raises `Exhausted` (402): `budget_exhausted`, `credit_exhausted` or `price_unknown`.
        """
        book, at = await self._ready(whom.tenant, whom.run)
        held = self._take(book, whom, estimate, at, own=own)
        return held if held is not None else await self._wait(book, whom, estimate, own=own)

    def settle(self, hold: Hold, charge: int) -> int:
        """Charge a call, at most its hold and what else there is room for, and return what is really charged."""
        if hold.charged is None:
            limited = counters.limited(hold.tallies)
            before = [tally.spent for tally in limited]
            hold.charged = counters.settle(hold.tallies, hold.nano, charge)
            hold.crossed = tuple(
                mark for tally, spent in zip(limited, before, strict=True) for mark in crossed(tally, spent)
            )
            self._pump(hold.tenant)
        return hold.charged

    def release(self, hold: Hold) -> None:
        """Give back all that was held; what was settled already stays so."""
        if hold.charged is None:
            hold.charged = 0
            counters.release(hold.tallies, hold.nano)
            self._pump(hold.tenant)

    async def state(self, tenant: str) -> list[dict[str, Any]]:
        """Return every limit of `tenant` as it stands now; of runs, those that are known to be near theirs."""
        book, at = await self._ready(tenant, "")
        for limit in book.limits.values():
            if limit.scope is not BudgetScope.RUN:
                book.tally(limit.scope, limit.subject, limit.period, window(limit.period, at))
        current = [tally for tally in book.tallies.values() if tally.window == window(tally.period, at)]
        return [refusals.told(tally, at) for tally in counters.limited(current)]

    def limited(self, whom: Whom) -> bool:
        """Tell whether any limit stands over `whom`; said of anyone whose book was not read yet."""
        book = self._books.get(whom.tenant)
        if book is None or not book.fresh:
            return True
        return bool(counters.limited(book.of(whom, self._keep.now(), own=False)))

    def forget(self, tenant: str) -> None:
        """Read the limits of `tenant` anew before its next call; who waits for money asks again."""
        book = self._books.get(tenant)
        if book is not None:
            book.fresh, book.version = False, book.version + 1
            if book.queue:
                self._load(book, "")

    def charge(self, tenant: str, cost_nano: int, own: bool) -> int:  # noqa: FBT001 - whose account it was
        """Return what `tenant` is charged for what a provider takes."""
        return self._agreed(tenant).charge(cost_nano, own=own)

    def regions(self, tenant: str) -> frozenset[str]:
        """Return where models of `tenant` may be; none: anywhere. Known once something was held for it."""
        return self._agreed(tenant).regions

    async def drain(self) -> None:
        """Wait until what people are to be told is written down."""
        await asyncio.gather(*self._noting, return_exceptions=True)

    def held(self, tenant: str) -> int:
        """Return what is held for calls of `tenant` under way."""
        book = self._books.get(tenant)
        tallies = book.tallies.values() if book else ()
        return sum(tally.held for tally in tallies if tally.scope is BudgetScope.TIER)

    def _agreed(self, tenant: str) -> Account:
        book = self._books.get(tenant)
        return book.account if book else accounts.NOTHING_AGREED

    def _take(
        self, book: Book, whom: Whom, estimate: Estimate, at: datetime, *, own: bool, first: bool = True
    ) -> Hold | None:
        """Hold at once, or return none if the call has to wait; raise if that makes no sense."""
        tallies = book.of(whom, at, own=own)
        limited = counters.limited(tallies)
        if not limited:
            return self._held(whom.tenant, tallies, self._offer(book, estimate, limited, own=own), at, own=own)
        if not (estimate.price.known and estimate.bounded):
            raise refusals.unpriced(estimate)
        made = self._offer(book, estimate, limited, own=own)
        if made is REFUSED:
            raise self._refused(whom.tenant, limited, at)
        waits = made is WAIT or (first and made.nano and any(tally.waiting for tally in limited))
        return None if waits else self._held(whom.tenant, tallies, made, at, own=own)

    def _offer(self, book: Book, estimate: Estimate, limited: list[Tally], *, own: bool, last: bool = False) -> Offer:
        def charge(cost: int) -> int:
            return book.account.charge(cost, own=own)

        return offer(estimate, charge, room=counters.room(limited), free=counters.free(limited), last=last)

    def _held(self, tenant: str, tallies: tuple[Tally, ...], made: Offer, at: datetime, *, own: bool) -> Hold:
        counters.hold(tallies, made.nano)
        cost = self._agreed(tenant).cost(made.nano, own=own)
        return Hold(tenant, made.nano, cost, made.output, made.clamped, at, own, tallies)

    async def _wait(self, book: Book, whom: Whom, estimate: Estimate, *, own: bool) -> Hold:
        """Wait in the order of coming, at most as long as patience lasts, and then take what there is."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        if len(book.queue) >= MAX_QUEUE:
            return self._last(book, whom, estimate, self._at(), own=own)
        waiting = Waiting(whom, estimate, own, loop.create_future())
        waiting.wait_at(self._short(book, waiting))
        book.queue.append(waiting)
        try:
            return await self._turn(book, waiting, until)
        finally:
            waiting.wait_at([])
            book.queue.remove(waiting)
            self._pump(book.tenant)

    async def _turn(self, book: Book, waiting: Waiting, until: float) -> Hold:
        loop = asyncio.get_running_loop()
        while (left := until - loop.time()) > 0:
            await asyncio.wait([waiting.got], timeout=left)
            if not waiting.got.done():
                break
            waiting.got = loop.create_future()
            _, at = await self._ready(book.tenant, waiting.whom.run)
            held = self._take(book, waiting.whom, waiting.estimate, at, own=waiting.own, first=False)
            if held is not None:
                return held
            waiting.wait_at(self._short(book, waiting))
        _, at = await self._ready(book.tenant, waiting.whom.run)
        return self._last(book, waiting.whom, waiting.estimate, at, own=waiting.own)

    def _short(self, book: Book, waiting: Waiting) -> list[Tally]:
        """Return where a call waits: where there is not enough room for all of it, or where others wait already."""
        estimate = waiting.estimate
        full = book.account.charge(estimate.nano(estimate.output or 0), own=waiting.own)
        limited = counters.limited(book.of(waiting.whom, self._at(), own=waiting.own))
        return [tally for tally in limited if tally.room < full or (tally.waiting and tally not in waiting.at)]

    def _last(self, book: Book, whom: Whom, estimate: Estimate, at: datetime, *, own: bool) -> Hold:
        tallies = book.of(whom, at, own=own)
        limited = counters.limited(tallies)
        made = self._offer(book, estimate, limited, own=own, last=True)
        if made is REFUSED:
            free = counters.free(limited)
            busy = free is not None and book.account.charge(estimate.nano(estimate.least), own=own) <= free
            raise self._refused(whom.tenant, limited, at, busy=busy)
        return self._held(whom.tenant, tallies, made, at, own=own)

    def _refused(self, tenant: str, limited: list[Tally], at: datetime, *, busy: bool = False) -> Exhausted:
        """Return the refusal, and see to it that people are told once that a limit is reached."""
        tally = refusals.tightest(limited, busy=busy)
        marks = () if busy else tuple(reached(tally))
        if marks:
            self._start(self._keep.write(lambda tx: note(tx, self._keep, tenant=tenant, crossings=marks)))
        return refusals.exhausted(tally, at, busy=busy)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._noting.add(task)
        task.add_done_callback(self._noted)

    def _noted(self, task: "asyncio.Task[None]") -> None:
        self._noting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("That a limit is reached could not be written down.", exc_info=error)

    def _pump(self, tenant: str) -> None:
        """Let those ask again who wait and are the first to do so where they wait."""
        book = self._books.get(tenant)
        if book is None:
            return
        taken: set[int] = set()
        for waiting in book.queue:
            here = {id(tally) for tally in waiting.at}
            if taken.isdisjoint(here) and not waiting.got.done():
                waiting.got.set_result(None)
            taken |= here

    async def _ready(self, tenant: str, run: str) -> tuple[Book, datetime]:
        """Return the book of `tenant`, and the moment for which all is known that a call of `run` is judged by."""
        book = self._books.get(tenant)
        if book is None:
            book = self._books[tenant] = Book(tenant, lambda: self._keep.new_id("usg"))
        while not book.ready(at := self._at(), run):
            await asyncio.shield(self._load(book, run))
        return book, at

    def _load(self, book: Book, run: str) -> "asyncio.Task[None]":
        key = f"{book.tenant}/{run}"
        task = self._loads.get(key)
        if task is None:
            task = self._loads[key] = asyncio.create_task(self._read(book, run))
            task.add_done_callback(lambda _: self._loads.pop(key, None))
        return task

    async def _read(self, book: Book, run: str) -> None:
        version, at = book.version, self._at()
        before = book.runs.setdefault(run, book.began) if run else None
        wanted = [period for period in (Period.DAY, Period.MONTH) if (period, window(period, at)) not in book.windows]

        def read(tx: Tx) -> tuple[list[Budget], Account, dict[Period, Spent], int]:
            limits = budgets.listed(tx, tenant=book.tenant)
            account = accounts.find(tx, tenant=book.tenant)
            spent = sums.spent(tx, tenant=book.tenant, periods=wanted, at=at)
            runs = before is not None and any(limit.scope is BudgetScope.RUN for limit in limits)
            of_run = sums.of_run(tx, tenant=book.tenant, run=run, before=before) if runs and before else -1
            return limits, account, spent, of_run

        limits, account, spent, of_run = await self._keep.read(read)
        book.agree(limits, account)
        book.fresh = version == book.version
        for period in wanted:
            book.begin(period, window(period, at), spent[period])
        if of_run >= 0:
            book.begin_run(run, of_run)
        self._pump(book.tenant)

    def _at(self) -> datetime:
        """Return the time as rows store it: they and their counters lie in the same window."""
        now = self._keep.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)
