"""How the queue stands over all tenants: who has how many runs in it, since when, and which workers look after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from freehold.core.runs import FINAL, RunState
from freehold.store.runs import event_table, run_table
from freehold.store.tenants import tenant_table
from freehold.store.workers import worker_table

QUEUED: Final = ("run.queued", "run.resumed", "run.unpaused")
"""Events from which on a run queues."""
NOT_OVER: Final = tuple(state for state in RunState if state not in FINAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantQueue:
    """The runs of one tenant that are not over."""

    tenant: str
    slug: str
    states: Mapping[RunState, int] = field(default_factory=dict)
    oldest: datetime | None = None
    """Since when the run queues that has queued longest; none where none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSign:
    """A worker, and when it last gave a sign of life."""

    id: str
    started_at: datetime
    seen_at: datetime


def queues(tx: Connection) -> list[TenantQueue]:
    """Return the tenants that have runs which are not over, by slug."""
    counted = (
        select(run_table.c.tenant, tenant_table.c.slug, run_table.c.state, func.count().label("runs"))
        .join(tenant_table, tenant_table.c.id == run_table.c.tenant)
        .where(run_table.c.state.in_(sorted(NOT_OVER)))
        .group_by(run_table.c.tenant, tenant_table.c.slug, run_table.c.state)
    )
    since = _since(tx)
    found: dict[tuple[str, str], dict[RunState, int]] = {}
    for row in tx.execute(counted):
        found.setdefault((row.slug, row.tenant), {})[row.state] = row.runs
    return [
        TenantQueue(tenant=tenant, slug=slug, states=states, oldest=since.get(tenant))
        for (slug, tenant), states in sorted(found.items())
    ]


def signs(tx: Connection) -> list[WorkerSign]:
    """Return the workers that joined and did not leave, the one silent for longest first."""
    return [WorkerSign(**row) for row in tx.execute(select(worker_table).order_by(worker_table.c.seen_at)).mappings()]


def _since(tx: Connection) -> dict[str, datetime]:
    """Return since when the run of each tenant queues that has queued longest."""
    began = (
        select(run_table.c.tenant, func.max(event_table.c.at).label("at"))
        .join(event_table, event_table.c.run == run_table.c.id)
        .where(run_table.c.state == RunState.QUEUED, event_table.c.type.in_(QUEUED))
        .group_by(run_table.c.tenant, run_table.c.id)
        .subquery()
    )
    return {
        row.tenant: row.at
        for row in tx.execute(select(began.c.tenant, func.min(began.c.at).label("at")).group_by(began.c.tenant))
    }
