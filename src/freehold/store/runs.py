"""Runs and their events: what is going on, and what happened."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    func,
    select,
    update,
)

from freehold.core.errors import Conflict, NotFound
from freehold.core.runs import FINAL, Run, RunState, Trigger, WaitsFor
from freehold.store.schema import fields, one_of, table, tenant_column
from freehold.store.types import Coded, Json, Moment

run_table = table(
    "runs",
    tenant_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("trigger", Coded(Trigger), nullable=False),
    Column("conversation", Text),
    Column("message", Text),
    Column("parent", Text),
    Column("call", Text),
    Column("depth", Integer, nullable=False),
    Column("attended", Boolean, nullable=False),
    Column("trace", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("output", Text),
    Column("error", Json),
    Column("state", Coded(RunState), nullable=False),
    Column("waits_for", Coded(WaitsFor)),
    Column("segment", Integer, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("wake_at", Moment),
    Column("deadline", Moment),
    Column("revision", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    one_of("state", RunState),
    one_of("waits_for", WaitsFor),
    one_of("trigger", Trigger),
    Index("runs_by_state", "state", "wake_at"),
    Index("runs_by_conversation", "tenant", "conversation", "state"),
    Index("runs_by_parent", "tenant", "parent"),
    tenant="tenant",
    data_class="content",
    retention="run",
)

event_table = table(
    "events",
    Column("position", Integer, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("run", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("type", Text, nullable=False),
    Column("data", Json, nullable=False),
    UniqueConstraint("run", "seq"),
    tenant="tenant",
    data_class="operation",
    retention="run",
)

_OVER: Final = tuple(sorted(FINAL))


class Runs:
    """The runs of one tenant."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        """Belong to `tenant`, within the transaction of `connection`."""
        self._connection, self._tenant = connection, tenant

    def add(self, run: Run) -> None:
        """Write down a new run."""
        self._connection.execute(run_table.insert().values(asdict(run) | {"tenant": self._tenant}))

    def get(self, run: str) -> Run:
        """Return the run; raise `NotFound` where there is none."""
        query = select(run_table).where(run_table.c.tenant == self._tenant, run_table.c.id == run)
        row = self._connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("There is no such run.", remedy="`freehold run list` shows the tenant's runs.")
        return Run(**fields(row, "tenant"))

    def move(self, run: Run) -> None:
        """Write `run`, as `Run.after` returned it, if nobody moved it since it was read; else raise `Conflict`."""
        done = self._connection.execute(
            update(run_table)
            .where(
                run_table.c.tenant == self._tenant,
                run_table.c.id == run.id,
                run_table.c.revision == run.revision - 1,
            )
            .values(asdict(run))
        )
        if done.rowcount != 1:
            raise Conflict(f"Run {run.id} moved meanwhile.", code="run_moved", remedy="Look at the run again.")

    def place(self, run: str, slot: int) -> None:
        """Let the run, which nobody has queued yet, be dispatched in `slot`."""
        self._connection.execute(
            update(run_table).where(run_table.c.tenant == self._tenant, run_table.c.id == run).values(slot=slot)
        )

    def page(
        self, *, after: str = "", limit: int = 100, agent: str | None = None, state: RunState | None = None
    ) -> list[Run]:
        """Return runs, newest first: those older than the id `after`, at most `limit`."""
        query = select(run_table).where(run_table.c.tenant == self._tenant)
        query = query.where(run_table.c.id < after) if after else query
        query = query.where(run_table.c.agent == agent) if agent else query
        query = query.where(run_table.c.state == state) if state else query
        rows = self._connection.execute(query.order_by(run_table.c.id.desc()).limit(limit)).mappings()
        return [Run(**fields(row, "tenant")) for row in rows]

    def children(self, parent: str) -> list[Run]:
        """Return the runs that `parent` delegated, oldest first."""
        query = select(run_table).where(run_table.c.tenant == self._tenant, run_table.c.parent == parent)
        rows = self._connection.execute(query.order_by(run_table.c.id)).mappings()
        return [Run(**fields(row, "tenant")) for row in rows]

    def turn_of(self, conversation: str) -> Run | None:
        """Return the run whose turn it is in the conversation: the oldest that is not over."""
        query = select(run_table).where(
            run_table.c.tenant == self._tenant,
            run_table.c.conversation == conversation,
            run_table.c.state.not_in(_OVER),
        )
        row = self._connection.execute(query.order_by(run_table.c.id).limit(1)).mappings().first()
        return None if row is None else Run(**fields(row, "tenant"))

    def least_busy_slot(self, slots: int) -> int:
        """Return the slot, of `slots`, in which the fewest of the tenant's runs queue or run."""
        busy = (RunState.QUEUED, RunState.RUNNING)
        query = (
            select(run_table.c.slot, func.count())
            .where(run_table.c.tenant == self._tenant, run_table.c.state.in_(busy))
            .group_by(run_table.c.slot)
        )
        counts = {row[0]: row[1] for row in self._connection.execute(query)}
        return min(range(slots), key=lambda slot: (counts.get(slot, 0), slot))


class Events:
    """What happened in the runs of one tenant."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        """Belong to `tenant`, within the transaction of `connection`."""
        self._connection, self._tenant = connection, tenant

    def append(self, run: str, kind: str, data: dict[str, Any], *, at: datetime) -> int:
        """Write down that `kind` happened to `run` and return the event's number in it, from 1."""
        highest = select(func.max(event_table.c.seq)).where(event_table.c.run == run)
        seq = int(self._connection.execute(highest).scalar() or 0) + 1
        self._connection.execute(
            event_table.insert().values(tenant=self._tenant, run=run, seq=seq, at=at, type=kind, data=data)
        )
        return seq

    def restarts(self, run: str) -> int:
        """Return how often the run was restarted since it last started a segment or finished a step."""
        whose = (event_table.c.tenant == self._tenant) & (event_table.c.run == run)
        advanced = select(func.coalesce(func.max(event_table.c.seq), 0)).where(
            whose, event_table.c.type.in_(("run.started", "step.finished"))
        )
        query = select(func.count()).where(
            whose, event_table.c.type == "run.restarted", event_table.c.seq > advanced.scalar_subquery()
        )
        return int(self._connection.execute(query).scalar() or 0)

    def of(self, run: str, *, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Return the run's events behind number `after` as `{seq, at, run, type, data}`."""
        query = select(event_table).where(
            event_table.c.tenant == self._tenant, event_table.c.run == run, event_table.c.seq > after
        )
        rows = self._connection.execute(query.order_by(event_table.c.seq).limit(limit)).mappings()
        return [fields(row, "tenant", "position") for row in rows]
