"""
Pausing: a run stands still where it is, and goes on from there.

What it did is recorded under its segment, so the same segment is carried out again, like after the death of a
worker: recorded steps are read back, and effects keep their keys. For a run that waited, the world goes on meanwhile;
what came is heard when the pause ends. No time passes towards its deadline.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, NotFound
from freehold.core.runs import FINAL, Run, RunEvent, RunState, WaitsFor
from freehold.core.tenants import TenantState
from freehold.runs.aftermath import end
from freehold.runs.engine import Engine, Ticket
from freehold.runs.resuming import resume, resume_if_free, submit_turn
from freehold.store.platform import OutOfPlace
from freehold.store.scope import Scope, Store, Tenancy
from freehold.tenants.activity import is_active

log = logging.getLogger(__name__)

WITH_TENANT: Final = "tenant"
"""Why a run is paused that stands still because its tenant does."""
BATCH: Final = 25
"""Runs of one transaction: others wait for it."""
MOVING: Final = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.WAITING})
BEGUN: Final = ("run.started", "run.restarted", "run.resumed")

OnEach = Callable[[str], None]
"""Is told the id of each run that was stopped, so that its worker can be told."""


def pause(scope: Scope, engine: Engine, run: Run, *, clock: Clock, why: str) -> Run:
    """Let the run and its children stand still, and return it; one that is over or paused stays as it is."""
    if run.state in FINAL or run.state is RunState.PAUSED:
        return run
    now = clock.now()
    paused = run.after(RunEvent.PAUSE, at=now)
    scope.runs.move(paused)
    engine.withdraw(scope.connection, run=run.id, segment=run.segment)
    scope.events.append(run.id, "run.paused", {"why": why}, at=now)
    for child in scope.runs.children(run.id):
        pause(scope, engine, child, clock=clock, why=why)
    return paused


def unpause(scope: Scope, engine: Engine, run: Run, *, clock: Clock) -> Run:
    """Let a run that was paused, and its children, go on where they were; any other stays as it is."""
    if run.state is not RunState.PAUSED:
        return run
    now = clock.now()
    since = _paused_at(scope, run) or now
    later = None if run.deadline is None else run.deadline + (now - since)
    event = RunEvent.UNPAUSE if run.waits_for is WaitsFor.PAUSE else RunEvent.PARK
    back = replace(run.after(event, at=now), deadline=later)
    scope.runs.move(back)
    scope.events.append(run.id, "run.unpaused", {"state": back.state}, at=now)
    for child in scope.runs.children(run.id):
        unpause(scope, engine, child, clock=clock)
    if back.state is RunState.QUEUED:
        _queue(scope, engine, back)
    elif _heard(scope, back, since):
        return resume_if_free(scope, engine, scope.runs.get(run.id), clock=clock, why="unpaused")
    return back


def begun(scope: Scope, run: Run) -> bool:
    """Return whether somebody carried out a part of the segment that this queued run is in."""
    if run.epoch == 0:
        return False
    last = scope.events.newest(run.id, *BEGUN)
    return last is not None and last["type"] != "run.resumed"


def pause_all(tenancy: Tenancy, engine: Engine, *, clock: Clock, each: OnEach) -> int:
    """Pause whatever goes on in a tenant that is suspended, some runs a transaction, and return how many that were."""

    def act(scope: Scope, run: Run) -> None:
        pause(scope, engine, run, clock=clock, why=WITH_TENANT)

    return _all(tenancy, MOVING, act, each)


def unpause_all(tenancy: Tenancy, engine: Engine, *, clock: Clock) -> int:
    """Let go on what was paused with its tenant, and return how many runs that were."""
    with tenancy.read() as scope:
        ids = [run.id for run in scope.runs.in_states({RunState.PAUSED}, limit=-1)]
    for start in range(0, len(ids), BATCH):
        with tenancy.write() as scope:
            for run in ids[start : start + BATCH]:
                _unpause_with_tenant(scope, engine, scope.runs.get(run), clock=clock)
    return len(ids)


def cancel_all(tenancy: Tenancy, engine: Engine, *, by: str, clock: Clock, each: OnEach) -> int:
    """Cancel every run that is not over, some a transaction, and return how many that were."""

    def act(scope: Scope, run: Run) -> None:
        end(scope, engine, run.after(RunEvent.CANCEL, at=clock.now()), clock=clock)
        told = {"state": run.state, "segment": run.segment}
        note(
            scope.connection,
            at=clock.now(),
            tenant=scope.tenant,
            actor=by,
            action="run.cancel",
            subject=run.id,
            detail=told,
            run=run.id,
        )

    return _all(tenancy, MOVING | {RunState.PAUSED}, act, each)


def wake_all(store: Store, engine: Engine, tenant: str | None, *, clock: Clock) -> int:
    """Let go on at once what waits for an outage to end, in one tenant or in all; return how many runs that were."""
    with store.read() as platform:
        waiting = [run for run in platform.waiting_for(WaitsFor.OUTAGE) if tenant in {None, run.tenant}]
    for run in waiting:
        with store.tenant(run.tenant).write() as scope:
            found = scope.runs.get(run.id)
            if found.state is RunState.WAITING and found.waits_for is WaitsFor.OUTAGE:
                resume(scope, engine, found, clock=clock, why="outage over")
    return len(waiting)


def put_in_place(store: Store, engine: Engine, *, clock: Clock) -> int:
    """
    Mend what a process left that died while it suspended, resumed or deleted a tenant; return how many runs that were.

    A worker that carries one of them out finds that it was stopped (`Segments.look`).
    """
    with store.read() as platform:
        found = platform.out_of_place()
    return sum(_each(found, lambda run: _put_in_place(store, engine, run, clock=clock)))


def _put_in_place(store: Store, engine: Engine, out: OutOfPlace, *, clock: Clock) -> bool:
    with store.tenant(out.tenant).write() as scope:
        run = scope.runs.get(out.id)
        if out.state is TenantState.ACTIVE:
            return _unpause_with_tenant(scope, engine, run, clock=clock)
        if is_active(scope.connection, scope.tenant) or run.state in FINAL:
            return False
        if out.state is TenantState.DELETED:
            end(scope, engine, run.after(RunEvent.CANCEL, at=clock.now()), clock=clock)
        else:
            pause(scope, engine, run, clock=clock, why=WITH_TENANT)
    return True


def _each(found: Iterable[OutOfPlace], mend: Callable[[OutOfPlace], bool]) -> Iterable[bool]:
    for run in found:
        try:
            yield mend(run)
        except (Conflict, NotFound):
            continue  # it has moved on
        except Exception:
            log.exception("Putting %s in its place broke.", run.id)


def _all(tenancy: Tenancy, states: frozenset[RunState], act: Callable[[Scope, Run], None], each: OnEach) -> int:
    stopped = 0
    while True:
        with tenancy.write() as scope:
            found = scope.runs.in_states(states, limit=BATCH)
            for run in found:
                current = scope.runs.get(run.id)  # a parent takes its children along
                if current.state in states:
                    act(scope, current)
        for run in found:
            each(run.id)
        stopped += len(found)
        if len(found) < BATCH:
            return stopped


def _unpause_with_tenant(scope: Scope, engine: Engine, run: Run, *, clock: Clock) -> bool:
    """Let the run go on if it was paused with its tenant, which is active again; what a person paused stays so."""
    if run.state is not RunState.PAUSED or not is_active(scope.connection, scope.tenant):
        return False
    paused = scope.events.newest(run.id, "run.paused")
    if paused is not None and paused["data"].get("why") != WITH_TENANT:
        return False
    unpause(scope, engine, run, clock=clock)
    return True


def _queue(scope: Scope, engine: Engine, run: Run) -> None:
    """Queue the segment anew if it is the run's turn; one whose worker still lets go of it is left to the reconciler."""
    turn = None if run.conversation is None else scope.runs.turn_of(run.conversation)
    if turn is not None and turn.id != run.id:
        return  # whoever's turn it is queues it at its end
    ticket = Ticket(tenant=scope.tenant, run=run.id, segment=run.segment, slot=max(run.slot, 0))
    if engine.missing(scope.connection, [ticket]):
        engine.forget(scope.connection, [ticket])
        submit_turn(scope, engine, run)


def _heard(scope: Scope, run: Run, since: datetime) -> bool:
    """Return whether something came since the pause began that the run would have gone on for."""
    said = any(signal["created_at"] >= since for signal in scope.signals.of(run.id))
    return said or any(
        approval.decided_at is not None and approval.decided_at >= since for approval in scope.approvals.of_run(run.id)
    )


def _paused_at(scope: Scope, run: Run) -> datetime | None:
    paused = scope.events.newest(run.id, "run.paused")
    return None if paused is None else paused["at"]
