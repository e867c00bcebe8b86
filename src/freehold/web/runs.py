"""Runs: started, followed, signalled, cancelled."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import AwareDatetime, Field
from starlette.responses import JSONResponse, StreamingResponse

from freehold.audit.canonical import canonical, digest
from freehold.audit.database import note
from freehold.core.errors import Invalid
from freehold.core.parts import Label, Origin, Part, Role
from freehold.core.runs import FINAL, Run, RunState, Trigger
from freehold.failpoints import reach
from freehold.runs.cancelling import cancel, family
from freehold.runs.signalling import signal
from freehold.runs.starting import start
from freehold.store.scope import Tenancy
from freehold.store.threads import in_thread
from freehold.tenants.quotas import admit_message
from freehold.web import events
from freehold.web.access import Here, IdempotencyKey, InTenant
from freehold.web.arriving import WEB, Traceparent, nudge
from freehold.web.holding import retire
from freehold.web.lists import Cursor, Limit, page
from freehold.web.views import Asked, EventView, Listed, RunView, StepView
from freehold.web.waiting import Prefer, seconds, until_rest

router = APIRouter(prefix="/tenants/{tenant}/runs", tags=["runs"])
FINISHED = 200
ACCEPTED = 202
TOO_LARGE = 413

RunId = Annotated[str, Path(description="Id of the run.", max_length=80)]


class NewRun(Asked):
    """A run to start."""

    agent: str
    input: str
    deadline: AwareDatetime | None = None
    """When the run fails if it is not over by then."""
    attended: bool = False
    """Whether a person sits there and can be asked; whoever waits for the answer (`Prefer: wait`) does."""


class NewSignal(Asked):
    """Something a run is told."""

    name: str = Field(min_length=1, max_length=100)
    payload: dict[str, Any] = {}
    id: str = Field(default="", max_length=100)
    """The same id is the same signal; none: every request is a new one."""


@router.post(
    "",
    status_code=ACCEPTED,
    response_model=RunView,
    responses={FINISHED: {"model": RunView, "description": "It is over already."}},
)
async def start_run(
    at: InTenant,
    body: NewRun,
    key: IdempotencyKey = "",
    prefer: Prefer = "",
    traceparent: Traceparent = "",
) -> JSONResponse:
    """Start a run of the agent's current version."""
    run = await in_thread(_start, at, body, key, traceparent, waited=seconds(prefer) > 0)
    await until_rest(at.tail, at.tenancy, run.id, seconds(prefer))
    run = await in_thread(_get, at.tenancy, run.id)
    reach(WEB, "acknowledged")
    location = {"Location": f"/api/v1/tenants/{at.tenant.slug}/runs/{run.id}"}
    status = FINISHED if run.state in FINAL else ACCEPTED
    return JSONResponse(RunView.of(run).model_dump(mode="json"), status_code=status, headers=location)


@router.get("")
def list_runs(
    at: InTenant,
    limit: Limit = 100,
    cursor: Cursor = "",
    agent: Annotated[str | None, Query(max_length=80, description="Only of this agent.")] = None,
    state: Annotated[RunState | None, Query(description="Only in this state.")] = None,
) -> Listed[RunView]:
    """Return the tenant's runs, newest first."""
    with at.tenancy.read() as scope:
        of = scope.agents.find(agent).id if agent else None
        found = scope.runs.page(after=cursor, limit=limit + 1, agent=of, state=state)
    return page(found, limit, show=RunView.of, key=lambda run: run.id)


@router.get("/{run}")
async def show_run(at: InTenant, run: RunId, prefer: Prefer = "") -> RunView:
    """Return one run."""
    found = await in_thread(_get, at.tenancy, run)
    wait = seconds(prefer)
    if wait:
        await until_rest(at.tail, at.tenancy, found.id, wait)
        found = await in_thread(_get, at.tenancy, run)
    return RunView.of(found)


@router.get(
    "/{run}/events",
    response_model=Listed[EventView],
    responses={200: {"content": {events.MEDIA_TYPE: {}}}},
)
async def follow_run(
    request: Request,
    at: InTenant,
    run: RunId,
    after: Annotated[int, Query(ge=0, le=2**31, description="Only what comes behind this number.")] = 0,
    limit: Limit = 500,
    last_event_id: Annotated[str, Header(max_length=20)] = "",
) -> Response:
    """Return what happened in the run; with `Accept: text/event-stream`, also what happens, until its end."""
    if events.MEDIA_TYPE in request.headers.get("accept", ""):
        await in_thread(_get, at.tenancy, run)  # a run that is not there is told before the stream begins
        behind = max(after, events.after_number(last_event_id))
        body = events.stream(at.tail, at.tenancy, run, after=behind)
        return StreamingResponse(body, media_type=events.MEDIA_TYPE, headers=events.HEADERS)
    found = await in_thread(events.of_run, at.tenancy, run, after=after, limit=limit + 1)
    listed = page(found, limit, show=events.told, key=lambda event: str(event["seq"]))
    return JSONResponse(listed.model_dump(mode="json"))


@router.get("/{run}/steps")
def list_steps(at: InTenant, run: RunId) -> Listed[StepView]:
    """Return the run's recorded steps."""
    with at.tenancy.read() as scope:
        return Listed(items=[StepView.of(step) for step in scope.steps.of(scope.runs.get(run).id)])


@router.post("/{run}/cancel")
async def cancel_run(at: InTenant, run: RunId) -> RunView:
    """Cancel the run and what it delegated; cancelling what is over already changes nothing."""
    cancelled, whole = await in_thread(_cancelled, at, run)
    await retire(at.state, at.tenant.id, whole)
    return RunView.of(cancelled)


@router.post("/{run}/signal")
def signal_run(at: InTenant, run: RunId, body: NewSignal) -> RunView:
    """Tell the run something; the same id is told once."""
    canonical(body.payload)  # what has no one spelling is refused before it is stored
    with at.tenancy.write() as scope:
        told = signal(
            scope,
            at.state.engine,
            run=run,
            signal=body.id or at.state.ids("sig"),
            name=body.name,
            payload=body.payload,
            by=at.caller.actor,
            clock=at.state.clock,
        )
    nudge(at.state)
    return RunView.of(told)


def _start(at: Here, body: NewRun, key: str, trace: str, *, waited: bool) -> Run:
    state = at.state
    _check(at, body)
    state.store.database.require_room()
    asked = digest(body.plain())
    with at.tenancy.write() as scope:
        agent = scope.agents.find(body.agent)
        made = scope.idempotency.made("runs", key, asked) if key else None
        if made is not None:
            state.metrics.count("freehold_duplicates_suppressed_total", kind="run")
            return scope.runs.get(made)
        admit_message(scope.connection, scope.tenant, at=state.clock.now())  # else there would be a way past its limit
        run = start(
            scope,
            state.engine,
            ids=state.ids,
            clock=state.clock,
            agent=agent,
            trigger=Trigger.API,
            input=Part(role=Role.USER, content={"text": body.input}, label=Label(origins=frozenset({Origin.MEMBER}))),
            attended=body.attended or waited,
            trace=trace,
            deadline=body.deadline,
            slots=state.settings.tenant_slots,
            run_hours=state.settings.run_hours,
        )
        if key:
            scope.idempotency.keep("runs", key, asked, run.id, at=run.created_at)
        note(
            scope.connection,
            at=run.created_at,
            tenant=scope.tenant,
            actor=at.caller.actor,
            action="run.start",
            subject=run.id,
            detail={"agent": run.agent},
            run=run.id,
            policy=run.version,
        )
        reach(WEB, "intent")
    reach(WEB, "stored")
    nudge(state)
    return run


def _check(at: Here, body: NewRun) -> None:
    if not body.input.strip():
        raise Invalid("The run is given nothing to do.", code="blank_message", remedy="Send some text as input.")
    if len(body.input.encode()) > at.state.settings.message_bytes:
        raise Invalid(
            f"An input has at most {at.state.settings.message_bytes} bytes.",
            code="too_large",
            status=TOO_LARGE,
            remedy="Send less at once; an operator can raise FREEHOLD_MESSAGE_BYTES.",
        )


def _get(tenancy: Tenancy, run: str) -> Run:
    with tenancy.read() as scope:
        return scope.runs.get(run)


def _cancelled(at: Here, run: str) -> tuple[Run, list[str]]:
    """Cancel the run and return it, with the ids of itself and of all it delegated."""
    with at.tenancy.write() as scope:
        cancelled = cancel(scope, at.state.engine, run=run, by=at.caller.actor, clock=at.state.clock)
        whole = family(scope, [cancelled.id])
    for one in whole:
        at.state.worker.send({"cancel": one})
    nudge(at.state)
    return cancelled, whole
