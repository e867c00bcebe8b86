"""An engine in memory: forgets everything with its process, and keeps every other promise of the port."""

import asyncio
import contextlib
from collections.abc import Collection, Iterable
from typing import Any, final

from sqlalchemy import Connection, event
from typing_extensions import override

from freehold.runs.engine import Carry, Dispatcher, Engine, Ticket


@final
class MemoryEngine(Engine, Dispatcher):
    """Queues and brings segments within one process; what is submitted counts once its transaction commits."""

    def __init__(self, *, slots: int = 8) -> None:
        """Let `slots` segments of one tenant go on at once."""
        self.slots = slots
        self._queued: dict[str, Ticket] = {}
        self._known: set[str] = set()
        self._under_way: dict[Ticket, asyncio.Future[None]] = {}
        self._carry: Carry | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @override
    def submit(self, connection: Connection, *, tenant: str, run: str, segment: int, slot: int) -> None:
        ticket = Ticket(tenant=tenant, run=run, segment=segment, slot=slot)

        def queue(_connection: Connection) -> None:
            if ticket.id not in self._known:
                self._known.add(ticket.id)
                self._queued[ticket.id] = ticket
                self.kick()

        event.listen(connection, "commit", queue)

    @override
    def withdraw(self, connection: Connection, *, run: str, segment: int) -> None:
        ticket = f"{run}:{segment}"
        event.listen(connection, "commit", lambda _connection: self._queued.pop(ticket, None))

    @override
    def missing(self, connection: Connection, tickets: Iterable[Ticket]) -> list[Ticket]:
        there = self._queued.keys() | {ticket.id for ticket in self._under_way}
        return [ticket for ticket in tickets if ticket.id not in there]

    @override
    def forget(self, connection: Connection, tickets: Iterable[Ticket]) -> None:
        ids = {ticket.id for ticket in tickets}

        def drop(_connection: Connection) -> None:
            self._known -= ids
            for ticket in ids:
                self._queued.pop(ticket, None)

        event.listen(connection, "commit", drop)

    @override
    async def start(self, carry: Carry) -> None:
        self._carry, self._loop = carry, asyncio.get_running_loop()
        self._dispatch()

    @override
    async def drain(self, seconds: float) -> None:
        self._carry = None
        if self._under_way:
            _done, late = await asyncio.wait(self._under_way.values(), timeout=seconds)
            for task in late:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*late, return_exceptions=True)

    @override
    def kick(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._dispatch)

    @override
    def take_over(self, workers: Collection[str] | None) -> int:
        return 0

    @override
    def take_back(self) -> int:
        return 0

    @override
    def tidy(self) -> int:
        return 0

    @override
    def health(self) -> dict[str, Any]:
        return {"ok": True, "queued": len(self._queued), "under_way": len(self._under_way)}

    async def settle(self) -> None:
        """Return once nothing is queued or under way: what tests wait for instead of a while."""
        while self._queued or self._under_way:  # noqa: ASYNC110 - commits come from other threads
            await asyncio.sleep(0.001)

    def lose(self) -> None:
        """Forget everything, as if the engine's tables had been dropped."""
        self._queued.clear()
        self._known.clear()

    def _dispatch(self) -> None:
        if self._carry is None:
            return
        busy = {(ticket.tenant, ticket.slot) for ticket in self._under_way}
        for ticket in sorted(self._queued.values(), key=lambda ticket: ticket.id):
            place = (ticket.tenant, ticket.slot)
            if place not in busy:
                busy.add(place)
                self._bring(ticket, self._carry)

    def _bring(self, ticket: Ticket, carry: Carry) -> None:
        del self._queued[ticket.id]
        task = asyncio.ensure_future(carry(ticket))
        self._under_way[ticket] = task
        task.add_done_callback(lambda _task: self._landed(ticket))

    def _landed(self, ticket: Ticket) -> None:
        task = self._under_way.pop(ticket)
        if not task.cancelled():
            task.exception()  # looked at: a carry that broke is found by the reconciler
        self._dispatch()
