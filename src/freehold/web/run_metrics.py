"""How long runs took, what of it they waited, and what they cost: of single runs, and of many by agent or day."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from freehold.core.errors import Invalid, NotFound, Unavailable
from freehold.core.runs import Run
from freehold.runs.measuring import Measured, measured, spread
from freehold.store.figures import Figures
from freehold.store.scope import Scope
from freehold.store.threads import in_thread
from freehold.web.access import Here, InTenant
from freehold.web.views import moment

router = APIRouter(prefix="/tenants/{tenant}/runs", tags=["runs"])

WITHIN: Final = timedelta(days=30)
AHEAD: Final = timedelta(days=1)
MOST: Final = 5_000
NAMED: Final = 100
SPREAD: Final = ("duration_ms", "queued_ms", "running_ms", "waiting_ms", "paused_ms", "model_ms", "tool_ms")
COSTS: Final = ("cost_nano", "charge_nano")
Costs = Mapping[str, Mapping[str, int]]


class SpreadView(BaseModel):
    """One number of many runs; `p95`: all but one in twenty took no longer."""

    sum: int
    p50: int
    p95: int


class GroupView(BaseModel):
    """The numbers of some runs: times are of those that are over, sums of costs of all."""

    key: str
    """The id of the agent or of the run, or the day in UTC; empty for all together."""
    name: str
    runs: int
    states: dict[str, int]
    steps: int
    restarts: int
    duration_ms: SpreadView
    queued_ms: SpreadView
    running_ms: SpreadView
    waiting_ms: SpreadView
    paused_ms: SpreadView
    model_ms: SpreadView
    tool_ms: SpreadView
    cost_nano: int | None
    """What providers take; null while the gateway, which knows it, is away."""
    charge_nano: int | None


class RunNumbersView(BaseModel):
    """The numbers of one run; of one that is not over, up to now."""

    run: str
    state: str
    duration_ms: int
    queued_ms: int
    running_ms: int
    waiting_ms: int
    paused_ms: int
    model_ms: int
    tool_ms: int
    steps: int
    segments: int
    restarts: int
    cost_nano: int | None
    charge_nano: int | None


class RunMetricsView(BaseModel):
    """The numbers of runs: `groups` and `total` of many, or each of those that were named as `items`."""

    since: str = ""
    cut: bool = False
    """Whether there are more runs in that time than were looked at, the newest."""
    total: GroupView | None = None
    groups: list[GroupView] = []
    items: list[RunNumbersView] = []


@router.get("/metrics")
async def measure_runs(
    at: InTenant,
    by: Annotated[Literal["agent", "day"], Query(description="What they are summed by.")] = "agent",
    since: Annotated[AwareDatetime | None, Query(description="Only runs made then or later; else of 30 days.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Only runs made before then.")] = None,
    agent: Annotated[str | None, Query(max_length=80, description="Only of this agent.")] = None,
    runs: Annotated[str, Query(max_length=8_000, description="Instead: ids of single runs, with commas.")] = "",
) -> RunMetricsView:
    """Return how long runs took, and with what: sums, and p50 and p95 of those that are over."""
    if runs:
        return await _single(at, [one for one in runs.split(",") if one])
    now = at.state.clock.now()
    begin, end = _within(since or now - WITHIN, now), _within(until or now + AHEAD, now)
    found, names = await in_thread(_many, at, begin, end, agent)
    kept = found[:MOST]
    costs = await _costs(at, [run for run, _ in kept], begin)
    groups: dict[str, list[tuple[Run, Measured]]] = {}
    for run, numbers in kept:
        key = run.agent if by == "agent" else run.created_at.astimezone(UTC).date().isoformat()
        groups.setdefault(key, []).append((run, numbers))
    return RunMetricsView(
        since=moment(begin),
        cut=len(found) > MOST,
        total=_group("", "", kept, costs),
        groups=[_group(key, names.get(key, ""), of, costs) for key, of in sorted(groups.items())],
    )


async def _single(at: Here, runs: list[str]) -> RunMetricsView:
    if len(runs) > NAMED:
        raise Invalid(f"At most {NAMED} runs are named at once.", code="too_many", remedy="Ask for fewer at once.")
    found = await in_thread(_named, at, runs)
    oldest = min((run.created_at for run, _ in found), default=at.state.clock.now())
    costs = await _costs(at, [run for run, _ in found], oldest)
    return RunMetricsView(
        items=[
            RunNumbersView(run=run.id, state=run.state, **asdict(numbers), **_cost([run], costs))
            for run, numbers in found
        ]
    )


def _within(stated: datetime, now: datetime) -> datetime:
    """Return a time as stated, or the nearest at which there can be runs."""
    seconds = min(max(0.0, stated.timestamp()), (now + AHEAD).timestamp())
    return datetime.fromtimestamp(seconds, tz=UTC)


def _named(at: Here, runs: list[str]) -> list[tuple[Run, Measured]]:
    with at.tenancy.read() as scope:
        return _measured(at, scope, [scope.runs.get(run) for run in dict.fromkeys(runs)])


def _many(
    at: Here, since: datetime, until: datetime, agent: str | None
) -> tuple[list[tuple[Run, Measured]], dict[str, str]]:
    """Return the runs with their numbers, and the names of their agents."""
    with at.tenancy.read() as scope:
        of = scope.agents.find(agent).id if agent else None
        figures = Figures(scope.connection, scope.tenant, agent=scope.agent)
        runs = figures.runs(since=since, until=until, agent=of, limit=MOST + 1)
        names = dict[str, str]()
        for one in {run.agent for run in runs}:
            with suppress(NotFound):
                names[one] = scope.agents.find(one).name
        return _measured(at, scope, runs), names


def _measured(at: Here, scope: Scope, runs: list[Run]) -> list[tuple[Run, Measured]]:
    figures, ids = Figures(scope.connection, scope.tenant, agent=scope.agent), [run.id for run in runs]
    moves, worked, now = figures.moves(ids), figures.worked(ids), at.state.clock.now()
    return [(run, measured(run, moves.get(run.id, ()), worked.get(run.id, ()), now=now)) for run in runs]


async def _costs(at: Here, runs: list[Run], since: datetime) -> Costs | None:
    """Return what each run cost; None while the gateway is away, which keeps nobody from the other numbers."""
    millis = int(since.timestamp() * 1000)
    with suppress(Unavailable):
        if len(runs) == 1:
            used = await at.state.gateway.usage(at.tenant.id, run=runs[0].id)
            return {runs[0].id: used["total"]}
        used = await at.state.gateway.usage(at.tenant.id, since=millis, by="run")
        return {group["key"]: group for group in used["groups"]}
    return None


def _cost(runs: Iterable[Run], costs: Costs | None) -> dict[str, int | None]:
    if costs is None:
        return dict.fromkeys(COSTS)
    ids = [run.id for run in runs]
    return {name: sum(int(costs.get(run, {}).get(name, 0)) for run in ids) for name in COSTS}


def _group(key: str, name: str, found: list[tuple[Run, Measured]], costs: Costs | None) -> GroupView:
    states: dict[str, int] = {}
    for run, _ in found:
        states[str(run.state)] = states.get(str(run.state), 0) + 1
    over = [numbers for run, numbers in found if run.ended_at is not None]
    spreads: dict[str, Any] = {
        name: SpreadView(**asdict(spread(getattr(one, name) for one in over))) for name in SPREAD
    }
    return GroupView(
        key=key,
        name=name,
        runs=len(found),
        states=states,
        steps=sum(numbers.steps for _, numbers in found),
        restarts=sum(numbers.restarts for _, numbers in found),
        **spreads,
        **_cost((run for run, _ in found), costs),
    )
