"""How the queue stands over all tenants, for whoever runs the platform: who waits since when, and who works."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from freehold.core.runs import RunState
from freehold.store.queueing import TenantQueue, WorkerSign, queues, signs
from freehold.store.threads import in_thread
from freehold.web.access import Operator, TheState
from freehold.web.lists import Limit
from freehold.web.state import State
from freehold.web.views import Moment

router = APIRouter(prefix="/platform", tags=["platform"])
KINDS = ("message", "run")
"""What is counted of repeats here; those of effects the gateway's own metrics tell."""


class TenantQueueView(BaseModel):
    """The runs of one tenant that are not over."""

    tenant: str
    slug: str
    queued: int
    running: int
    waiting: int
    paused: int
    oldest_at: Moment | None
    """Since when the run queues that has queued longest."""
    oldest_seconds: float


class WorkerView(BaseModel):
    """A worker, and its last sign of life."""

    id: str
    started_at: Moment
    seen_at: Moment
    lease_age_seconds: float
    alive: bool
    """Whether that is not older than the lease."""


class QueueView(BaseModel):
    """The queue as it stands."""

    at: Moment
    queued: int
    running: int
    waiting: int
    paused: int
    oldest_seconds: float
    """How long the run has queued that has queued longest."""
    lease_seconds: float
    workers: list[WorkerView]
    duplicates: dict[str, int]
    """Repeats that were told what is there and did nothing, since this process of web began."""
    tenants: list[TenantQueueView]
    """Those with the longest queues first."""


@router.get("/queue")
async def show_queue(caller: Operator, state: TheState, limit: Limit = 100) -> QueueView:
    """Return how many runs queue, run and wait, in which tenants and since when, and which workers look after them."""
    found, workers = await in_thread(_looked, state)
    now = state.clock.now()
    told = sorted((_tenant(one, now) for one in found), key=lambda one: (-one.queued, -one.oldest_seconds, one.slug))
    counted = state.metrics.value
    return QueueView(
        at=now,
        queued=sum(one.queued for one in told),
        running=sum(one.running for one in told),
        waiting=sum(one.waiting for one in told),
        paused=sum(one.paused for one in told),
        oldest_seconds=max((one.oldest_seconds for one in told), default=0.0),
        lease_seconds=state.settings.lease,
        workers=[_worker(one, now, state.settings.lease) for one in workers],
        duplicates={kind: int(counted("freehold_duplicates_suppressed_total", kind=kind)) for kind in KINDS},
        tenants=told[:limit],
    )


def _looked(state: State) -> tuple[list[TenantQueue], list[WorkerSign]]:
    with state.store.read() as platform:
        return queues(platform.connection), signs(platform.connection)


def _tenant(one: TenantQueue, now: datetime) -> TenantQueueView:
    return TenantQueueView(
        tenant=one.tenant,
        slug=one.slug,
        queued=one.states.get(RunState.QUEUED, 0),
        running=one.states.get(RunState.RUNNING, 0),
        waiting=one.states.get(RunState.WAITING, 0),
        paused=one.states.get(RunState.PAUSED, 0),
        oldest_at=one.oldest,
        oldest_seconds=0.0 if one.oldest is None else _age(one.oldest, now),
    )


def _worker(one: WorkerSign, now: datetime, lease: float) -> WorkerView:
    age = _age(one.seen_at, now)
    return WorkerView(
        id=one.id, started_at=one.started_at, seen_at=one.seen_at, lease_age_seconds=age, alive=age < lease
    )


def _age(since: datetime, now: datetime) -> float:
    return max(0.0, round((now - since).total_seconds(), 3))
