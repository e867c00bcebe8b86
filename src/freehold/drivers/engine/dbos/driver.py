"""
The engine on DBOS Transact: its queue in our database file, its rows with our ids and nothing else.

What is used of it: enqueueing within our transaction, the partitioned queue (a partition per tenant and slot,
one segment at a time in each), and dispatch. Steps, recovery, schedules and waiting are ours. Whatever touches
its inner workings stands in this package and is tested against the pinned version.
"""

import asyncio
import logging
import threading
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final, TypeVar, final

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions
from dbos._serialization import DBOSPortableJSONSerializer
from sqlalchemy import Connection
from sqlalchemy import Engine as SqlEngine
from typing_extensions import override

from freehold.core.clock import Clock
from freehold.core.errors import Invalid
from freehold.drivers.engine.dbos.claiming import claim_quickly
from freehold.drivers.engine.dbos.kicking import kickable, still
from freehold.runs.engine import Carry, Dispatcher, Engine, Ticket
from freehold.store.db import Database, told, writing
from freehold.store.looking import Look
from freehold.store.threads import in_thread

T = TypeVar("T")

QUEUE: Final = "segments"
WORKFLOW: Final = "segment"
APPLICATION: Final = "freehold"
PROTOCOL: Final = "segments-1"
"""Which code may carry out which rows; it changes only if tickets change, never with a release."""
POLL: Final = 1.0
KEPT_SECONDS: Final = 600.0
BATCH: Final = 500

_status: Final = sa.table(
    "workflow_status",
    *(
        sa.column(name)
        for name in (
            "workflow_uuid",
            "status",
            "queue_name",
            "executor_id",
            "owner_xid",
            "started_at_epoch_ms",
            "recovery_attempts",
            "updated_at",
        )
    ),
)
_rests: Final = tuple(sa.table(name, sa.column("workflow_uuid")) for name in ("workflow_input", "workflow_output"))
_QUEUED: Final = "ENQUEUED"
_UNDER_WAY: Final = "PENDING"
_ours: Final = _status.c.queue_name == QUEUE
_waits: Final = sa.select(_status.c.workflow_uuid).where(
    _ours, _status.c.status == _QUEUED, _status.c.workflow_uuid == sa.bindparam("of_id")
)


def prepare(database: Database) -> None:
    """Make the engine's tables in `database`, or bring them up to date; they may have been dropped before."""
    _quiet()
    with told():
        DBOS.migrate(database.engine.url.render_as_string(hide_password=False))


@final
class DbosEngine(Engine):
    """The half of the engine that every process has: submitting, within a transaction of the caller's."""

    def __init__(self, database: Database, *, slots: int) -> None:
        """Queue in `database`, whose engine tables are prepared, `slots` segments of a tenant at once."""
        _quiet()
        self.slots = slots
        self._client = DBOSClient(
            system_database_engine=writing(database.engine),
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            lazy=True,
        )

    @override
    def submit(self, connection: Connection, *, tenant: str, run: str, segment: int, slot: int) -> None:
        ticket = Ticket(tenant=tenant, run=run, segment=segment, slot=slot)
        options: EnqueueOptions = {
            "queue_name": QUEUE,
            "workflow_name": WORKFLOW,
            "workflow_id": ticket.id,
            "queue_partition_key": _partition(ticket),
            "app_version": PROTOCOL,
        }
        self._client.enqueue_in_transaction(connection, options, tenant, run, segment, slot)

    @override
    def withdraw(self, connection: Connection, *, run: str, segment: int) -> None:
        _drop(connection, list(connection.execute(_waits, {"of_id": f"{run}:{segment}"}).scalars()))

    @override
    def missing(self, connection: Connection, tickets: Iterable[Ticket]) -> list[Ticket]:
        missing: list[Ticket] = []
        for batch in _batches(tickets):
            query = sa.select(_status.c.workflow_uuid).where(
                _status.c.workflow_uuid.in_([ticket.id for ticket in batch]),
                _status.c.status.in_((_QUEUED, _UNDER_WAY)),
            )
            there = set(connection.execute(query).scalars())
            missing += [ticket for ticket in batch if ticket.id not in there]
        return missing

    @override
    def forget(self, connection: Connection, tickets: Iterable[Ticket]) -> None:
        for batch in _batches(tickets):
            _drop(connection, [ticket.id for ticket in batch])


@final
class DbosDispatcher(Dispatcher):
    """The half that only a worker has: bringing segments. There can be one in a process."""

    def __init__(self, database: Database, *, worker: str, at_once: int, clock: Clock) -> None:
        """Bring up to `at_once` segments at a time, as the executor `worker`, whose name nobody had before."""
        self._database, self._worker, self._at_once, self._clock = database, worker, at_once, clock
        self._kick = threading.Event()
        self._engine: SqlEngine = writing(database.engine)
        self._dbos: DBOS | None = None
        self._stray: frozenset[str] = frozenset()

    @override
    async def start(self, carry: Carry) -> None:
        if self._dbos is not None:
            raise Invalid("The engine has been started already.", code="already_started")
        _quiet()
        dbos = self._dbos = DBOS(config=self._config())

        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)  # our own count decides: see runs.segments
        async def segment(tenant: str, run: str, segment: int, slot: int) -> None:
            task = asyncio.current_task()
            if task is not None:  # its slot is free once DBOS has written the outcome
                task.add_done_callback(lambda _task: self._kick.set())
            if self._dbos is not dbos:  # taken out of the queue at the moment we were told to stop
                raise asyncio.CancelledError
            await carry(Ticket(tenant=tenant, run=run, segment=segment, slot=slot))

        await in_thread(self._register)
        DBOS.launch()  # in this loop, so that segments run in it
        look = Look(self._database, self._clock)
        thread = f"queue-worker-{QUEUE}"
        kickable(dbos.background_thread_stop_events, self._kick, thread=thread, poll=POLL, look=look)
        claim_quickly(dbos, self._database, self._clock)
        still(dbos)

    @override
    async def drain(self, seconds: float) -> None:
        dbos, self._dbos = self._dbos, None
        if dbos is None:
            return
        for stop in dbos.background_thread_stop_events:
            stop.set()
        tasks = set(dbos._workflow_tasks)  # noqa: SLF001
        if tasks:
            _done, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        loop = asyncio.get_running_loop()
        await in_thread(DBOS.destroy, destroy_registry=True)
        loop.set_default_executor(ThreadPoolExecutor())  # DBOS had lent the loop its own

    @override
    def kick(self) -> None:
        self._kick.set()

    @override
    def take_over(self, workers: Collection[str] | None) -> int:
        dead = _status.c.executor_id != self._worker if workers is None else _status.c.executor_id.in_(workers)
        return self._free(dead)

    @override
    def take_back(self) -> int:
        dbos = self._dbos
        if dbos is None:
            return 0
        mine = _status.c.executor_id == self._worker
        query = sa.select(_status.c.workflow_uuid).where(_ours, _status.c.status == _UNDER_WAY, mine)
        with self._database.read() as connection:
            marked = frozenset(connection.execute(query).scalars())
        # What is missing twice in a row is not just about to begin, or being written off.
        stray = marked - frozenset(dbos._active_workflows_set.activeList())  # noqa: SLF001
        lost, self._stray = stray & self._stray, stray
        return sum(self._free(mine & _status.c.workflow_uuid.in_(batch)) for batch in _batches(lost))

    def _free(self, which: sa.ColumnElement[bool]) -> int:
        """Put segments that are marked as under way back into the queue and return how many."""
        free = {"status": _QUEUED, "executor_id": None, "owner_xid": None, "started_at_epoch_ms": None}
        with self._database.write() as connection:
            freed = connection.execute(
                sa.update(_status).where(_ours, _status.c.status == _UNDER_WAY, which).values(free)
            )
            return freed.rowcount

    @override
    def tidy(self) -> int:
        before = round((self._clock.now().timestamp() - KEPT_SECONDS) * 1000)
        over = sa.select(_status.c.workflow_uuid).where(
            _ours, _status.c.status.not_in((_QUEUED, _UNDER_WAY)), _status.c.updated_at < before
        )
        dropped = 0
        while True:
            with self._database.write() as connection:  # few at a time, so that nobody waits long for the lock
                ids = list(connection.execute(over.limit(BATCH)).scalars())
                _drop(connection, ids)
            dropped += len(ids)
            if len(ids) < BATCH:
                return dropped

    @override
    def health(self) -> dict[str, Any]:
        query = sa.select(_status.c.status, sa.func.count()).where(_ours).group_by(_status.c.status)
        with self._database.read() as connection:
            counts = {str(status): int(count) for status, count in connection.execute(query)}
        return {"ok": True, "queued": counts.get(_QUEUED, 0), "under_way": counts.get(_UNDER_WAY, 0)}

    def _config(self) -> DBOSConfig:
        return {
            "name": APPLICATION,
            "system_database_url": self._database.engine.url.render_as_string(hide_password=False),
            "system_database_engine": self._engine,
            "serializer": DBOSPortableJSONSerializer(),
            "executor_id": self._worker,
            "application_version": PROTOCOL,
            "enable_otlp": False,
            "run_migrations": False,  # its migrations open transactions in their own way: see `prepare`
            "notification_listener_polling_interval_sec": 0.5,  # finds nothing: nobody waits inside a workflow
            "scheduler_polling_interval_sec": 3600.0,  # and it keeps no schedules
            "log_level": "WARNING",
        }

    def _register(self) -> None:
        client = DBOSClient(
            system_database_engine=self._engine,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
        )
        client.register_queue(
            QUEUE,
            partition_concurrency=1,  # the only form that is dequeued in one sweep
            worker_concurrency=self._at_once,
            polling_interval_sec=POLL,
            on_conflict="always_update",
        )
        client.destroy()


def _partition(ticket: Ticket) -> str:
    """Return the partition; without one DBOS would take the row and never dispatch it."""
    if not ticket.tenant:
        raise Invalid("A segment belongs to a tenant.", code="no_partition")
    return f"{ticket.tenant}:{ticket.slot}"


def _drop(connection: Connection, ids: list[str]) -> None:
    if not ids:
        return
    connection.execute(sa.delete(_status).where(_ours, _status.c.workflow_uuid.in_(ids)))
    for rest in _rests:
        connection.execute(sa.delete(rest).where(rest.c.workflow_uuid.in_(ids)))


def _batches(things: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(things)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _quiet() -> None:
    """Let DBOS speak of trouble only."""
    logging.getLogger("dbos").setLevel(logging.WARNING)
