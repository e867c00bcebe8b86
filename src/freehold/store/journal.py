"""Steps, signals and approvals of one tenant: what a repeated segment reads back, and what wakes a parked one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Connection, Index, Integer, Text, bindparam, select, update

from freehold.core.approvals import Approval, ApprovalState
from freehold.core.errors import NotFound
from freehold.store.schema import fields, one_of, table, tenant_column, values
from freehold.store.types import Coded, Json, Moment

step_table = table(
    "steps",
    tenant_column(primary_key=True),
    Column("run", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("segment", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("result", Json, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    tenant="tenant",
    data_class="content",
    retention="run",
)

signal_table = table(
    "signals",
    tenant_column(primary_key=True),
    Column("run", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("payload", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    tenant="tenant",
    data_class="content",
    retention="run",
)

approval_table = table(
    "approvals",
    tenant_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("run", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("call", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("arguments", Json, nullable=False),
    Column("hash", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("kind", Text, nullable=False),  # what the effect does; empty for what the sandbox does
    Column("attempts", Integer, nullable=False),  # how often it was begun before this was asked
    Column("state", Coded(ApprovalState), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Moment),
    one_of("state", ApprovalState),
    Index("approvals_by_run", "tenant", "run"),
    Index("approvals_by_state", "state", "expires_at"),
    tenant="tenant",
    data_class="evidence",
    retention="tenant",
)

# Spelt once: putting a statement together costs more than running it, and every turn passes here.
_ADD_STEP: Final = step_table.insert()
_ASK: Final = approval_table.insert()
_SIGNALS: Final = (
    select(signal_table)
    .where(signal_table.c.tenant == bindparam("of_tenant"), signal_table.c.run == bindparam("of_run"))
    .order_by(signal_table.c.created_at, signal_table.c.id)
)
_QUESTIONS: Final = (
    select(approval_table)
    .where(approval_table.c.tenant == bindparam("of_tenant"), approval_table.c.run == bindparam("of_run"))
    .order_by(approval_table.c.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One recorded unit of a run: a model call or a tool call with its tagged result."""

    key: str
    segment: int
    kind: str
    name: str
    result: dict[str, Any]
    started_at: datetime
    ended_at: datetime


class Steps:
    """The recorded steps of one tenant's runs."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        """Belong to `tenant`, within the transaction of `connection`."""
        self._connection, self._tenant = connection, tenant

    def add(self, run: str, step: Step) -> None:
        """Write down a step with its result; a key is written once."""
        self._connection.execute(_ADD_STEP, values(step) | {"tenant": self._tenant, "run": run})

    def of(self, run: str) -> list[Step]:
        """Return the run's steps in the order they ended."""
        query = select(step_table).where(step_table.c.tenant == self._tenant, step_table.c.run == run)
        rows = self._connection.execute(query.order_by(step_table.c.ended_at, step_table.c.key)).mappings()
        return [Step(**fields(row, "tenant", "run")) for row in rows]


class Signals:
    """What was sent to the runs of one tenant."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        """Belong to `tenant`, within the transaction of `connection`."""
        self._connection, self._tenant = connection, tenant

    def add(self, run: str, signal: str, name: str, payload: dict[str, Any], *, at: datetime) -> bool:
        """Write down a signal; return False where one with this id is there already."""
        which = (signal_table.c.tenant == self._tenant) & (signal_table.c.run == run) & (signal_table.c.id == signal)
        if self._connection.execute(select(signal_table.c.id).where(which)).first() is not None:
            return False
        self._connection.execute(
            signal_table.insert().values(
                tenant=self._tenant, run=run, id=signal, name=name, payload=payload, created_at=at
            )
        )
        return True

    def of(self, run: str) -> list[dict[str, Any]]:
        """Return the run's signals as `{id, name, payload, created_at}`, oldest first."""
        rows = self._connection.execute(_SIGNALS, {"of_tenant": self._tenant, "of_run": run}).mappings()
        return [fields(row, "tenant", "run") for row in rows]


class Approvals:
    """The questions of one tenant's runs."""

    def __init__(self, connection: Connection, tenant: str, *, agent: str | None = None) -> None:
        """Belong to `tenant`, within the transaction of `connection`; with `agent`, show those of no other one."""
        self._connection, self._tenant, self._agent = connection, tenant, agent

    def add(self, approval: Approval) -> None:
        """Write down a question."""
        self._connection.execute(_ASK, values(approval) | {"tenant": self._tenant})

    def get(self, approval: str) -> Approval:
        """Return the question; raise `NotFound` where there is none."""
        found = self._where(approval_table.c.id == approval)
        if not found:
            raise NotFound("There is no such approval.", remedy="`freehold approval list` shows what is asked.")
        return found[0]

    def of_run(self, run: str) -> list[Approval]:
        """Return the questions of a run, oldest first."""
        rows = self._connection.execute(_QUESTIONS, {"of_tenant": self._tenant, "of_run": run}).mappings()
        return [Approval(**fields(row, "tenant")) for row in rows]

    def all(self, *, state: ApprovalState | None = None) -> list[Approval]:
        """Return the tenant's questions, oldest first."""
        return self._where(approval_table.c.state == state if state else approval_table.c.id != "")

    def settle(self, approval: Approval) -> bool:
        """Write the decision if the question is still open; return whether it was."""
        done = self._connection.execute(
            update(approval_table)
            .where(
                approval_table.c.tenant == self._tenant,
                approval_table.c.id == approval.id,
                approval_table.c.state == ApprovalState.ASKED,
            )
            .values(state=approval.state, decided_by=approval.decided_by, decided_at=approval.decided_at)
        )
        return done.rowcount == 1

    def _where(self, which: Any) -> list[Approval]:
        query = select(approval_table).where(approval_table.c.tenant == self._tenant, which)
        query = query if self._agent is None else query.where(approval_table.c.agent == self._agent)
        rows = self._connection.execute(query.order_by(approval_table.c.id)).mappings()
        return [Approval(**fields(row, "tenant")) for row in rows]
