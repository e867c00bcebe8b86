"""What web tells of itself and of the queue, for Prometheus: to a key with `metrics:read`, or to this machine."""

from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from freehold.core.errors import Denied, FreeholdError
from freehold.core.metrics import MEDIA_TYPE
from freehold.core.tenants import Caller
from freehold.store.queueing import NOT_OVER, TenantQueue, WorkerSign, queues, signs
from freehold.store.threads import in_thread
from freehold.surroundings import spent
from freehold.web.access import TheState
from freehold.web.hosts import LOOPBACK
from freehold.web.state import State

router = APIRouter(tags=["health"])
METRICS_READ: Final = "metrics:read"
"""The scope that the table of access names for it."""
UNAUTHENTICATED: Final = 401
FORWARDING: Final = ("x-forwarded-for", "x-forwarded-host", "forwarded", "via")
"""What edges add: with one of them, whoever asks is not on this machine, whatever the address says."""


async def scraping(request: Request) -> None:
    """Let through whoever may read metrics, and other programs of this machine."""
    caller = request.state.caller
    if isinstance(caller, Caller) and caller.may(METRICS_READ):
        return
    if _is_here(request):
        return
    if isinstance(caller, Caller):
        raise Denied(
            f"This needs the scope {METRICS_READ}.",
            code="missing_scope",
            remedy="Ask an operator for a key that has it: freehold key create --platform --name NAME --scope metrics:read.",
        )
    raise Denied(
        "Metrics are told to this machine, or to a key that may read them.",
        code="no_key",
        status=UNAUTHENTICATED,
        remedy=f"Send a key of the platform's with the scope {METRICS_READ} as: Authorization: Bearer <key>.",
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "All metrics of web."}},
)
async def show_metrics(state: TheState, _: Annotated[None, Depends(scraping)]) -> Response:
    """Return what web counts, and how the queue stands, in Prometheus' text format."""
    with suppress(FreeholdError):  # a database that is away is told by what is missing here
        await in_thread(_look, state)
    cpu, memory = spent()
    state.metrics.set("freehold_process_cpu_seconds_total", cpu)
    state.metrics.set("freehold_process_resident_memory_bytes", memory)
    return Response(state.metrics.text(), media_type=MEDIA_TYPE)


def _look(state: State) -> None:
    for name in (
        "freehold_runs",
        "freehold_tenant_runs",
        "freehold_queue_oldest_seconds",
        "freehold_lease_age_seconds",
    ):
        state.metrics.forget(name)
    with state.store.read() as platform:
        found, workers = queues(platform.connection), signs(platform.connection)
    _told(state, found, workers)


def _told(state: State, found: list[TenantQueue], workers: list[WorkerSign]) -> None:
    metrics, now = state.metrics, state.clock.now()
    for one in NOT_OVER:
        metrics.set("freehold_runs", sum(queue.states.get(one, 0) for queue in found), state=str(one))
    since = [queue.oldest for queue in found if queue.oldest is not None]
    oldest = (now - min(since)).total_seconds() if since else 0.0
    metrics.set("freehold_queue_oldest_seconds", max(0.0, oldest))
    metrics.set("freehold_workers", len(workers))
    if workers:
        metrics.set("freehold_lease_age_seconds", max(0.0, (now - workers[0].seen_at).total_seconds()))
    if state.settings.metrics_tenants:
        for queue in found:
            for one, count in queue.states.items():
                metrics.set("freehold_tenant_runs", count, tenant=queue.slug, state=str(one))


def _is_here(request: Request) -> bool:
    """Return whether a program of this machine asks, at an address of this machine, with no edge in between."""
    asked = (request.url.hostname or "").strip("[]")
    peer = request.client.host if request.client else ""
    return peer in LOOPBACK and asked in LOOPBACK and not any(name in request.headers for name in FORWARDING)
