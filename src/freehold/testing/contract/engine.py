"""What every engine must do."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from freehold.runs.engine import Dispatcher, Engine, Ticket
from freehold.store.db import Database, sqlite_address
from freehold.store.migrating import MIGRATIONS, migrate

PATIENCE = 10.0


class Half(NamedTuple):
    """Both halves of one engine over one database."""

    database: Database
    engine: Engine
    dispatcher: Dispatcher

    def submit(self, *tickets: Ticket) -> None:
        """Submit in one transaction."""
        with self.database.write() as connection:
            for ticket in tickets:
                self.engine.submit(
                    connection, tenant=ticket.tenant, run=ticket.run, segment=ticket.segment, slot=ticket.slot
                )
        self.dispatcher.kick()

    def missing(self, *tickets: Ticket) -> list[Ticket]:
        """Return those the engine does not know."""
        with self.database.read() as connection:
            return self.engine.missing(connection, tickets)


class Carrier:
    """Carries tickets by noting them; some only until they are let go."""

    def __init__(self) -> None:
        self.begun: list[Ticket] = []
        self.ended: list[Ticket] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def __call__(self, ticket: Ticket) -> None:
        self.begun.append(ticket)
        if ticket.id in self.gates:
            await self.gates[ticket.id].wait()
        self.ended.append(ticket)

    def hold(self, ticket: Ticket) -> asyncio.Event:
        """Hold this ticket until the returned event is set."""
        return self.gates.setdefault(ticket.id, asyncio.Event())


class EngineContract(ABC):
    """Subclass this, return both halves over a database, and let pytest collect the class."""

    @abstractmethod
    def halves(self, database: Database) -> tuple[Engine, Dispatcher]:
        """Return an engine of two slots that keeps nothing yet; the dispatcher brings at most three at once."""

    @pytest.fixture
    async def half(self, tmp_path: Path) -> AsyncIterator[Half]:
        database = Database(sqlite_address(tmp_path / "freehold.db"))
        migrate(database, MIGRATIONS, lock=tmp_path / "lock")
        half = Half(database, *self.halves(database))
        yield half
        await half.dispatcher.drain(0)
        database.close()

    @pytest.fixture
    async def carrier(self, half: Half) -> Carrier:
        carrier = Carrier()
        await half.dispatcher.start(carrier)
        return carrier

    async def test_what_is_submitted_is_brought_once(self, half: Half, carrier: Carrier) -> None:
        half.submit(ticket(1))
        await until(lambda: carrier.ended == [ticket(1)])
        half.submit(ticket(1))
        half.submit(ticket(2))
        await until(lambda: ticket(2) in carrier.ended)
        assert carrier.begun == [ticket(1), ticket(2)]

    async def test_what_was_rolled_back_was_never_submitted(self, half: Half, carrier: Carrier) -> None:
        with half.database.engine.connect() as connection, connection.begin() as transaction:
            half.engine.submit(connection, tenant="ten_1", run="run_1", segment=1, slot=0)
            transaction.rollback()
        half.submit(ticket(2))
        await until(lambda: bool(carrier.ended))
        assert carrier.begun == [ticket(2)]

    async def test_what_waits_while_nobody_brings_is_brought_later(self, half: Half) -> None:
        half.submit(ticket(1))
        assert half.missing(ticket(1), ticket(2)) == [ticket(2)]
        carrier = Carrier()
        await half.dispatcher.start(carrier)
        await until(lambda: carrier.ended == [ticket(1)])

    async def test_a_slot_takes_one_at_a_time_in_order_of_ids(self, half: Half, carrier: Carrier) -> None:
        first = carrier.hold(ticket(1))
        half.submit(ticket(1))
        await until(lambda: carrier.begun == [ticket(1)])
        half.submit(ticket(4), ticket(3), ticket(2))
        half.submit(ticket(5, slot=1))
        await until(lambda: ticket(5, slot=1) in carrier.ended)
        assert carrier.begun == [ticket(1), ticket(5, slot=1)]
        first.set()
        await until(lambda: carrier.ended[-1] == ticket(4))
        assert carrier.begun[2:] == [ticket(2), ticket(3), ticket(4)]

    async def test_tenants_do_not_wait_for_each_other(self, half: Half, carrier: Carrier) -> None:
        carrier.hold(ticket(1))
        half.submit(ticket(1))
        half.submit(ticket(2, tenant="ten_2"))
        await until(lambda: carrier.ended == [ticket(2, tenant="ten_2")])

    async def test_what_is_withdrawn_is_not_brought(self, half: Half, carrier: Carrier) -> None:
        first = carrier.hold(ticket(1))
        half.submit(ticket(1))
        await until(lambda: carrier.begun == [ticket(1)])
        half.submit(ticket(2), ticket(3))
        with half.database.write() as connection:
            half.engine.withdraw(connection, run="run_2", segment=1)
            half.engine.withdraw(connection, run="run_1", segment=1)  # under way: left alone
            half.engine.withdraw(connection, run="run_none", segment=1)
        assert half.missing(ticket(1), ticket(2), ticket(3)) == [ticket(2)]
        first.set()
        await until(lambda: ticket(3) in carrier.ended)
        assert carrier.ended == [ticket(1), ticket(3)]

    async def test_what_ended_is_missing_and_can_be_submitted_afresh_once_forgotten(
        self, half: Half, carrier: Carrier
    ) -> None:
        half.submit(ticket(1))
        await until(lambda: half.missing(ticket(1)) == [ticket(1)])
        with half.database.write() as connection:
            half.engine.forget(connection, [ticket(1)])
        half.submit(ticket(1))
        await until(lambda: carrier.ended == [ticket(1), ticket(1)])

    async def test_a_carrier_that_breaks_leaves_its_slot_to_the_next(self, half: Half) -> None:
        seen: list[Ticket] = []

        async def carry(brought: Ticket) -> None:
            seen.append(brought)
            if brought == ticket(1):
                raise ZeroDivisionError

        await half.dispatcher.start(carry)
        half.submit(ticket(1))
        half.submit(ticket(2))
        await until(lambda: seen == [ticket(1), ticket(2)])
        await until(lambda: half.missing(ticket(1)) == [ticket(1)])

    async def test_draining_waits_for_what_is_under_way_and_brings_no_more(self, half: Half, carrier: Carrier) -> None:
        first = carrier.hold(ticket(1))
        half.submit(ticket(1), ticket(2))
        await until(lambda: carrier.begun == [ticket(1)])
        draining = asyncio.create_task(half.dispatcher.drain(PATIENCE))
        await asyncio.sleep(0)
        first.set()
        await draining
        assert carrier.ended == [ticket(1)]
        assert carrier.begun == [ticket(1)]

    async def test_health_counts_what_is_queued_and_under_way(self, half: Half, carrier: Carrier) -> None:
        carrier.hold(ticket(1))
        half.submit(ticket(1), ticket(2))
        await until(lambda: carrier.begun == [ticket(1)])
        health = half.dispatcher.health()
        assert (health["ok"], health["queued"], health["under_way"]) == (True, 1, 1)


def ticket(number: int, *, tenant: str = "ten_1", slot: int = 0) -> Ticket:
    """Return the first segment of run `number`."""
    return Ticket(tenant=tenant, run=f"run_{number}", segment=1, slot=slot)


async def until(true: Callable[[], bool]) -> None:
    """Return once `true` is; fail where that takes too long."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)
