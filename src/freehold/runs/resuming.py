"""Resuming: a parked run whose reason to wait is gone takes its place in the queue again."""

from dataclasses import replace
from typing import Any

from freehold.core.approvals import ApprovalState
from freehold.core.clock import Clock
from freehold.core.runs import FINAL, Run, RunEvent, RunState
from freehold.runs.engine import Engine
from freehold.store.scope import Scope


def resume(scope: Scope, engine: Engine, run: Run, *, clock: Clock, why: str) -> Run:
    """Queue the next segment of a run that waits; quota and fairness apply to it as to the first."""
    now = clock.now()
    resumed = replace(run.after(RunEvent.RESUME, at=now), slot=scope.runs.least_busy_slot(engine.slots))
    scope.runs.move(resumed)
    scope.events.append(run.id, "run.resumed", {"why": why}, at=now)
    engine.submit(scope.connection, tenant=scope.tenant, run=run.id, segment=resumed.segment, slot=resumed.slot)
    return resumed


def submit_turn(scope: Scope, engine: Engine, run: Run) -> None:
    """Give a run whose turn has come a slot, and queue it."""
    slot = scope.runs.least_busy_slot(engine.slots)
    scope.runs.place(run.id, slot)
    engine.submit(scope.connection, tenant=scope.tenant, run=run.id, segment=run.segment, slot=slot)


def resume_if_free(scope: Scope, engine: Engine, run: Run, *, clock: Clock, why: str) -> Run:
    """Resume a waiting run for which no question is open and no child is under way; leave any other as it is."""
    if run.state is not RunState.WAITING or _held(scope, run):
        return run
    return resume(scope, engine, run, clock=clock, why=why)


def signalled(scope: Scope, run: Run, *, signal: str, name: str, payload: dict[str, Any], clock: Clock) -> bool:
    """Write a signal down for the run's next segment; return False where it came before."""
    now = clock.now()
    fresh = scope.signals.add(run.id, signal, name, payload, at=now)
    if fresh:
        scope.events.append(run.id, "signal.received", {"id": signal, "name": name}, at=now)
    return fresh


def _held(scope: Scope, run: Run) -> bool:
    asked = any(approval.state is ApprovalState.ASKED for approval in scope.approvals.of_run(run.id))
    return asked or any(child.state not in FINAL for child in scope.runs.children(run.id))
