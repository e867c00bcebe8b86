"""How long what took: the numbers of a run, from how it moved and what its steps took, and of many together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from freehold.core.runs import FINAL, Run, RunState
from freehold.store.figures import Move, Worked
from freehold.store.queueing import QUEUED
from freehold.store.scope import Scope

STANDS: Final[Mapping[str, RunState]] = MappingProxyType(
    {
        "run.queued": RunState.QUEUED,
        "run.started": RunState.RUNNING,
        "run.restarted": RunState.RUNNING,
        "run.waiting": RunState.WAITING,
        "run.resumed": RunState.QUEUED,
        "run.paused": RunState.PAUSED,
        **{f"run.{state}": state for state in sorted(FINAL)},
    }
)
"""Where a run stands from an event on; the end of a pause says it itself."""
PARTS: Final = 100
LATE: Final = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The numbers of one run, in milliseconds; of one that is not over, up to now."""

    duration_ms: int
    queued_ms: int
    running_ms: int
    waiting_ms: int
    """Parked: for a person, a child, a time, money or a provider."""
    paused_ms: int
    model_ms: int
    tool_ms: int
    steps: int
    segments: int
    restarts: int
    """How often it was begun anew because its worker was gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One number of many runs: all together, half of them at most, and all but one in twenty at most."""

    sum: int
    p50: int
    p95: int


def measured(run: Run, moves: Sequence[Move], worked: Iterable[Worked], *, now: datetime) -> Measured:
    """Return the numbers of `run`, which moved so and whose steps took so long."""
    end = run.ended_at or now
    spent = dict.fromkeys(RunState, 0)
    state, since = RunState.QUEUED, run.created_at
    for move in moves:
        spent[state] += _ms(since, move.at)
        state, since = _after(move, state), move.at
    if state not in FINAL:
        spent[state] += _ms(since, end)
    took = {one.kind: one for one in worked}
    return Measured(
        duration_ms=_ms(run.created_at, end),
        queued_ms=spent[RunState.QUEUED],
        running_ms=spent[RunState.RUNNING],
        waiting_ms=spent[RunState.WAITING],
        paused_ms=spent[RunState.PAUSED],
        model_ms=took["model"].ms if "model" in took else 0,
        tool_ms=took["tool"].ms if "tool" in took else 0,
        steps=sum(one.steps for one in took.values()),
        segments=run.segment,
        restarts=sum(move.type == "run.restarted" for move in moves),
    )


def spread(numbers: Iterable[int]) -> Spread:
    """Return how these numbers are spread, by nearest rank: each that is told is one of them."""
    found = sorted(numbers)
    return Spread(sum=sum(found), p50=_rank(found, PARTS // 2), p95=_rank(found, LATE))


def queued_at(scope: Scope, run: Run) -> datetime:
    """Return since when the run, which is queued, queues."""
    if not run.revision:
        return run.created_at  # nothing happened to it yet, so nothing need be looked up
    last = scope.events.newest(run.id, *QUEUED)
    at = run.created_at if last is None else last["at"]
    return at if isinstance(at, datetime) else run.created_at


def _after(move: Move, before: RunState) -> RunState:
    if move.type == "run.unpaused":
        return RunState(move.state) if move.state in set(RunState) else RunState.QUEUED
    return STANDS.get(move.type, before)


def _rank(found: Sequence[int], percent: int) -> int:
    return found[-(-len(found) * percent // PARTS) - 1] if found else 0


def _ms(since: datetime, until: datetime) -> int:
    return max(0, round((until - since).total_seconds() * 1000))
