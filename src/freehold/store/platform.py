"""What is true of the whole platform: tenants, keys, and which rows of any tenant are due for work."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select

from freehold.core.approvals import ApprovalState
from freehold.core.runs import FINAL, RunState, WaitsFor
from freehold.core.tenants import TenantState
from freehold.store.journal import approval_table
from freehold.store.outbox import OutboxState, outbox_table
from freehold.store.people import Installation, People
from freehold.store.runs import event_table, run_table
from freehold.store.sessions import Sessions
from freehold.store.talk import channel_table
from freehold.store.tenants import Keys, Tenants, tenant_table
from freehold.store.workers import Workers

# Spelt once: putting a statement together costs more than running it, and these are asked all the time.
_OUTGOING: Final = (
    select(outbox_table.c.tenant, outbox_table.c.id)
    .join(tenant_table, tenant_table.c.id == outbox_table.c.tenant)
    .where(
        tenant_table.c.state == TenantState.ACTIVE,  # what a suspended one has to say waits with it
        outbox_table.c.state == OutboxState.PENDING,
        outbox_table.c.due_at <= bindparam("now"),
    )
    .order_by(outbox_table.c.due_at)
    .limit(bindparam("most"))
)
_LATER: Final = (
    select(func.min(outbox_table.c.due_at))
    .join(tenant_table, tenant_table.c.id == outbox_table.c.tenant)
    .where(
        tenant_table.c.state == TenantState.ACTIVE,
        outbox_table.c.state == OutboxState.PENDING,
        outbox_table.c.due_at > bindparam("now"),
    )
)
_BECOMES_DUE: Final = (
    select(func.min(run_table.c.wake_at)).where(run_table.c.state == RunState.WAITING),
    select(func.min(run_table.c.deadline)).where(
        run_table.c.state.in_((RunState.QUEUED, RunState.RUNNING, RunState.WAITING))
    ),
    select(func.min(approval_table.c.expires_at)).where(approval_table.c.state == ApprovalState.ASKED),
)
_LAST: Final = select(func.max(event_table.c.position))
_STANDING: Final = (TenantState.SUSPENDED, TenantState.DELETED)
_STILL: Final = select(tenant_table.c.id).where(tenant_table.c.state.in_(_STANDING))
_BEHIND: Final = (
    select(event_table)
    .where(event_table.c.position > bindparam("after"))
    .order_by(event_table.c.position)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class Due:
    """A row of some tenant that wants work."""

    tenant: str
    id: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that is not over, as the reconciler sees it."""

    tenant: str
    id: str
    state: RunState
    segment: int
    slot: int
    conversation: str | None


@dataclass(frozen=True, slots=True)
class OutOfPlace:
    """A run that does not stand as its tenant's state says."""

    tenant: str
    id: str
    state: TenantState
    """The tenant's."""


class Platform:
    """What belongs to no tenant, and what is due, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self.connection = connection
        self.tenants = Tenants(connection)
        self.keys = Keys(connection)
        self.workers = Workers(connection)
        self.people = People(connection)
        self.sessions = Sessions(connection)
        self.installation = Installation(connection)

    def due_outgoing(self, now: datetime, *, limit: int = 100) -> list[Due]:
        """Return what is to leave by now, oldest first."""
        return [Due(*row) for row in self.connection.execute(_OUTGOING, {"now": now, "most": limit})]

    def due_runs(self, now: datetime, *, limit: int = 100) -> list[Due]:
        """Return the waiting runs whose time to wake has come."""
        query = select(run_table.c.tenant, run_table.c.id).where(
            run_table.c.state == RunState.WAITING, run_table.c.wake_at <= now
        )
        return [Due(*row) for row in self.connection.execute(query.order_by(run_table.c.wake_at).limit(limit))]

    def overdue_runs(self, now: datetime, *, limit: int = 100) -> list[Due]:
        """Return the runs that are not over although their deadline is; for one that is paused no time passes."""
        at_rest = sorted((*FINAL, RunState.PAUSED))
        query = select(run_table.c.tenant, run_table.c.id).where(
            run_table.c.state.not_in(at_rest), run_table.c.deadline <= now
        )
        return [Due(*row) for row in self.connection.execute(query.limit(limit))]

    def expired_approvals(self, now: datetime, *, limit: int = 100) -> list[Due]:
        """Return the questions nobody answered in time."""
        query = select(approval_table.c.tenant, approval_table.c.id).where(
            approval_table.c.state == ApprovalState.ASKED, approval_table.c.expires_at <= now
        )
        return [Due(*row) for row in self.connection.execute(query.limit(limit))]

    def next_due(self) -> datetime | None:
        """Return when the first run wakes or is overdue, or the first question expires; None if none ever does."""
        found = [self.connection.execute(query).scalar() for query in _BECOMES_DUE]
        return min((at for at in found if at is not None), default=None)

    def next_outgoing(self, now: datetime) -> datetime | None:
        """Return when the first reply is to leave that is not to leave by now; None if there is none."""
        return self.connection.execute(_LATER, {"now": now}).scalar()

    def unfinished(self) -> list[Unfinished]:
        """Return all runs that queue or run, oldest first."""
        columns = (
            run_table.c.tenant,
            run_table.c.id,
            run_table.c.state,
            run_table.c.segment,
            run_table.c.slot,
            run_table.c.conversation,
        )
        query = select(*columns).where(run_table.c.state.in_((RunState.QUEUED, RunState.RUNNING)))
        return [Unfinished(*row) for row in self.connection.execute(query.order_by(run_table.c.id))]

    def waiting_for_nobody(self) -> list[Due]:
        """Return the runs that wait for children although none of theirs is under way."""
        child = run_table.alias("child")
        under_way = (
            select(child.c.id)
            .where(child.c.tenant == run_table.c.tenant, child.c.parent == run_table.c.id)
            .where(child.c.state.not_in(sorted(FINAL)))
        )
        query = select(run_table.c.tenant, run_table.c.id).where(
            run_table.c.state == RunState.WAITING, run_table.c.waits_for == WaitsFor.CHILD, ~under_way.exists()
        )
        return [Due(*row) for row in self.connection.execute(query)]

    def waiting_for(self, what: WaitsFor) -> list[Due]:
        """Return the runs that wait for one kind of thing."""
        query = select(run_table.c.tenant, run_table.c.id).where(
            run_table.c.state == RunState.WAITING, run_table.c.waits_for == what
        )
        return [Due(*row) for row in self.connection.execute(query.order_by(run_table.c.id))]

    def busy_tenants(self) -> list[str]:
        """Return the ids of the tenants in which some run is not over."""
        query = select(run_table.c.tenant).where(run_table.c.state.not_in(sorted(FINAL))).distinct()
        return list(self.connection.execute(query.order_by(run_table.c.tenant)).scalars())

    def cancelled(self, runs: list[str]) -> list[str]:
        """Return those of `runs` (ids of any tenant) that are over or stand still."""
        still = (*FINAL, RunState.PAUSED)
        query = select(run_table.c.id).where(run_table.c.id.in_(runs), run_table.c.state.in_(sorted(still)))
        return list(self.connection.execute(query).scalars())

    def out_of_place(self, *, limit: int = 100) -> list[OutOfPlace]:
        """Return runs that are not over in tenants that are not active, and paused ones in tenants that are."""
        moving = run_table.c.state.in_((RunState.QUEUED, RunState.RUNNING, RunState.WAITING))
        paused, active = run_table.c.state == RunState.PAUSED, tenant_table.c.state == TenantState.ACTIVE
        gone = (tenant_table.c.state == TenantState.DELETED) & paused
        query = (
            select(run_table.c.tenant, run_table.c.id, tenant_table.c.state)
            .join(tenant_table, tenant_table.c.id == run_table.c.tenant)
            .where((moving & ~active) | gone | (paused & active))
        )
        return [OutOfPlace(*row) for row in self.connection.execute(query.order_by(run_table.c.id).limit(limit))]

    def standing_still(self) -> set[str]:
        """Return the ids of the tenants that were active and are so no longer."""
        return set(self.connection.execute(_STILL).scalars())

    def moving(self, tenant: str) -> bool:
        """Return whether there is a tenant with this id that does not stand still."""
        row = select(tenant_table.c.id).where(tenant_table.c.id == tenant, tenant_table.c.state.not_in(_STANDING))
        return self.connection.execute(row).first() is not None

    def newest_run(self) -> str:
        """Return the id of the run that was made last; empty where there is none."""
        return self.connection.execute(select(func.max(run_table.c.id))).scalar() or ""

    def last_position(self) -> int:
        """Return the position of the newest event."""
        return int(self.connection.execute(_LAST).scalar() or 0)

    def events_behind(self, position: int, *, limit: int = 500) -> list[dict[str, Any]]:
        """Return the events of all tenants behind `position` as `{position, tenant, run, seq, at, type, data}`."""
        rows = self.connection.execute(_BEHIND, {"after": position, "most": limit}).mappings()
        return [dict(row) for row in rows]

    def tenant_of_channel(self, channel: str) -> str | None:
        """Return the id of the tenant whose channel this is: a hook's address names only the channel."""
        return self.connection.execute(select(channel_table.c.tenant).where(channel_table.c.id == channel)).scalar()

    def tenants_of_approval(self, approval: str) -> list[str]:
        """Return the ids of the tenants that have an approval with this id: a page's address names no tenant."""
        query = select(approval_table.c.tenant).where(approval_table.c.id == approval)
        return list(self.connection.execute(query).scalars())

    def counts(self) -> dict[str, int]:
        """Return how many runs are in each state."""
        query = select(run_table.c.state, func.count()).group_by(run_table.c.state)
        return {str(state): count for state, count in self.connection.execute(query)}
