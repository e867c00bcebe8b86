"""Runs and their events: what is going on, and what happened."""

from collections.abc import Collection
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
    bindparam,
    func,
    select,
    update,
)

from freehold.core.errors import Conflict, NotFound
from freehold.core.runs import FINAL, Run, RunState, Trigger, WaitsFor
from freehold.store.schema import fields, one_of, table, tenant_column, values
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

AT_WORK: Final = run_table.c.parent.is_not(None) & run_table.c.ended_at.is_(None)
"""Children that are not over; spelt as their index is, which a state among parameters would not match."""
Index("runs_children_at_work", run_table.c.tenant, run_table.c.parent, sqlite_where=AT_WORK, postgresql_where=AT_WORK)

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
_BUSY: Final = (RunState.QUEUED, RunState.RUNNING)

# Spelt once: putting a statement together costs more than running it, and every turn passes here.
_OURS: Final = run_table.c.tenant == bindparam("of_tenant")
_RUN: Final = (_OURS, run_table.c.id == bindparam("of_id"))
_ADD: Final = run_table.insert()
_GET: Final = select(run_table).where(*_RUN)
_OWNER: Final = select(run_table.c.state, run_table.c.epoch).where(*_RUN)
_MOVE: Final = update(run_table).where(*_RUN, run_table.c.revision == bindparam("of_revision"))
_CHILDREN: Final = select(run_table).where(_OURS, run_table.c.parent == bindparam("of_parent")).order_by(run_table.c.id)
_TURN: Final = (
    select(run_table)
    .where(_OURS, run_table.c.conversation == bindparam("of_conversation"), run_table.c.state.not_in(_OVER))
    .order_by(run_table.c.id)
    .limit(1)
)
_LAST: Final = (
    select(run_table.c.version)
    .where(_OURS, run_table.c.conversation == bindparam("of_conversation"))
    .order_by(run_table.c.id.desc())
    .limit(1)
)
_SLOTS: Final = (
    select(run_table.c.slot, func.count()).where(_OURS, run_table.c.state.in_(_BUSY)).group_by(run_table.c.slot)
)
_HIGHEST: Final = select(func.max(event_table.c.seq)).where(event_table.c.run == bindparam("of_run"))
_NEWEST: Final = (
    select(event_table.c.at, event_table.c.type, event_table.c.data)
    .where(
        event_table.c.tenant == bindparam("of_tenant"),
        event_table.c.run == bindparam("of_run"),
        event_table.c.type.in_(bindparam("kinds", expanding=True)),
    )
    .order_by(event_table.c.seq.desc())
    .limit(1)
)
_APPEND: Final = (
    event_table.insert().values(seq=func.coalesce(_HIGHEST.scalar_subquery(), 0) + 1).returning(event_table.c.seq)
)


class Runs:
    """The runs of one tenant."""

    def __init__(self, connection: Connection, tenant: str, *, agent: str | None = None) -> None:
        """Belong to `tenant`, within the transaction of `connection`; with `agent`, show those of no other one."""
        self._connection, self._tenant, self._agent = connection, tenant, agent

    def add(self, run: Run) -> None:
        """Write down a new run."""
        self._connection.execute(_ADD, values(run) | {"tenant": self._tenant})

    def get(self, run: str) -> Run:
        """Return the run; raise `NotFound` where there is none."""
        row = self._connection.execute(_GET, self._is(run)).mappings().first()
        if row is None or self._agent not in {None, row["agent"]}:
            raise NotFound("There is no such run.", remedy="`freehold run list` shows the tenant's runs.")
        return Run(**fields(row, "tenant"))

    def owned(self, run: str, epoch: int) -> bool:
        """Return whether the run is under way and its owner is still the one that raised it to `epoch`."""
        row = self._connection.execute(_OWNER, self._is(run)).first()
        return row is not None and row.state is RunState.RUNNING and row.epoch == epoch

    def move(self, run: Run) -> None:
        """Write `run`, as `Run.after` returned it, if nobody moved it since it was read; else raise `Conflict`."""
        read = self._is(run.id) | {"of_revision": run.revision - 1}
        if self._connection.execute(_MOVE, values(run) | read).rowcount != 1:
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
        for which in filter(None, (agent, self._agent)):
            query = query.where(run_table.c.agent == which)
        query = query.where(run_table.c.state == state) if state else query
        rows = self._connection.execute(query.order_by(run_table.c.id.desc()).limit(limit)).mappings()
        return [Run(**fields(row, "tenant")) for row in rows]

    def children(self, parent: str) -> list[Run]:
        """Return the runs that `parent` delegated, oldest first."""
        rows = self._connection.execute(_CHILDREN, {"of_tenant": self._tenant, "of_parent": parent}).mappings()
        return [Run(**fields(row, "tenant")) for row in rows]

    def in_states(self, states: Collection[RunState], *, limit: int) -> list[Run]:
        """Return runs that are in one of these states, at most `limit`; those nobody delegated first."""
        query = select(run_table).where(run_table.c.tenant == self._tenant, run_table.c.state.in_(sorted(states)))
        rows = self._connection.execute(query.order_by(run_table.c.depth, run_table.c.id).limit(limit)).mappings()
        return [Run(**fields(row, "tenant")) for row in rows]

    def turn_of(self, conversation: str) -> Run | None:
        """Return the run whose turn it is in the conversation: the oldest that is not over."""
        which = {"of_tenant": self._tenant, "of_conversation": conversation}
        row = self._connection.execute(_TURN, which).mappings().first()
        return None if row is None else Run(**fields(row, "tenant"))

    def last_version(self, conversation: str) -> str | None:
        """Return the version of the conversation's newest run, or None where there is no run."""
        which = {"of_tenant": self._tenant, "of_conversation": conversation}
        version = self._connection.execute(_LAST, which).scalar()
        return None if version is None else str(version)

    def least_busy_slot(self, slots: int) -> int:
        """Return the slot, of `slots`, in which the fewest of the tenant's runs queue or run."""
        counts = {row[0]: row[1] for row in self._connection.execute(_SLOTS, {"of_tenant": self._tenant})}
        return min(range(slots), key=lambda slot: (counts.get(slot, 0), slot))

    def _is(self, run: str) -> dict[str, Any]:
        return {"of_tenant": self._tenant, "of_id": run}


class Events:
    """What happened in the runs of one tenant."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        """Belong to `tenant`, within the transaction of `connection`."""
        self._connection, self._tenant = connection, tenant

    def append(self, run: str, kind: str, data: dict[str, Any], *, at: datetime) -> int:
        """Write down that `kind` happened to `run` and return the event's number in it, from 1."""
        row = {"tenant": self._tenant, "run": run, "at": at, "type": kind, "data": data}
        return int(self._connection.execute(_APPEND, row | {"of_run": run}).scalar_one())

    def newest(self, run: str, *kinds: str) -> dict[str, Any] | None:
        """Return `{at, type, data}` of the last event of the run that is of one of these kinds."""
        which = {"of_tenant": self._tenant, "of_run": run, "kinds": kinds}
        row = self._connection.execute(_NEWEST, which).mappings().first()
        return None if row is None else dict(row)

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
