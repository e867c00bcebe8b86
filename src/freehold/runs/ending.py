"""The transaction that commits how a segment ended."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import reduce
from typing import Any

from freehold.audit.database import note
from freehold.core.approvals import Approval, ApprovalState
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Denied
from freehold.core.ids import NewId
from freehold.core.parts import Label, Origin, Part, Role
from freehold.core.quotas import Quota
from freehold.core.runs import Run, RunEvent, RunState, WaitsFor
from freehold.runs.aftermath import end
from freehold.runs.endings import Child, Done, Ending, Fail, Park, Question
from freehold.runs.engine import Engine
from freehold.runs.resuming import resume_if_free
from freehold.runs.starting import delegate
from freehold.store.scope import Scope
from freehold.tenants.quotas import admit

ACTOR = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What is needed to commit endings."""

    engine: Engine
    ids: NewId
    clock: Clock
    approval_hours: float
    """Hours after which a question expires."""


def conclude(scope: Scope, closing: Closing, run: Run, ending: Ending, *, heard: Collection[str]) -> Run:
    """
    Commit how the segment of `run` ended, and return the run as it now stands.

    `heard` are the ids of the signals and of the decided approvals that the segment knew of: what came since wakes
    the run at once. Raises `Conflict` (`run_moved`) if the run is over or another worker's, and writes nothing then.
    """
    current = scope.runs.get(run.id)
    if current.state is not RunState.RUNNING or current.epoch != run.epoch:
        raise Conflict(f"Run {run.id} moved meanwhile.", code="run_moved")
    match ending:
        case Done():
            return _finish(scope, closing, current, RunEvent.FINISH, output=ending.output)
        case Fail():
            return fail(scope, closing.engine, current, ending, clock=closing.clock)
        case Park():
            return _park(scope, closing, current, ending, heard)


def fail(scope: Scope, engine: Engine, run: Run, why: Fail, *, clock: Clock, by: str = ACTOR) -> Run:
    """Fail a run that is not over, and return it."""
    now = clock.now()
    error = {"code": why.code, "message": why.message, "remedy": why.remedy}
    over = replace(run.after(RunEvent.FAIL, at=now), error=error)
    end(scope, engine, over, clock=clock)
    _note(scope, over, clock=clock, by=by, detail={"code": why.code})
    return over


def _finish(scope: Scope, closing: Closing, run: Run, event: RunEvent, *, output: str) -> Run:
    over = replace(run.after(event, at=closing.clock.now()), output=output)
    end(scope, closing.engine, over, clock=closing.clock)
    _note(scope, over, clock=closing.clock, by=ACTOR, detail={})
    return over


def _park(scope: Scope, closing: Closing, run: Run, park: Park, heard: Collection[str]) -> Run:
    now = closing.clock.now()
    parked = run.after(RunEvent.PARK, at=now, waits_for=park.waits_for, wake_at=park.wake_at)
    scope.runs.move(parked)
    scope.events.append(run.id, "run.waiting", {"waits_for": park.waits_for, "reason": park.reason}, at=now)
    for question in park.questions:
        _ask(scope, closing, parked, question)
    refused = [_delegate(scope, closing, parked, child) for child in park.children]
    for started in filter(None, refused):  # once all are there: else the parent would go on before the others began
        fail(scope, closing.engine, *started, clock=closing.clock)
    if _unheard(scope, run, heard) or park.waits_for is WaitsFor.CHILD:
        return resume_if_free(scope, closing.engine, scope.runs.get(run.id), clock=closing.clock, why="signal")
    return parked


def _unheard(scope: Scope, run: Run, heard: Collection[str]) -> bool:
    said = [str(signal["id"]) for signal in scope.signals.of(run.id)]
    decided = [one.id for one in scope.approvals.of_run(run.id) if one.state is not ApprovalState.ASKED]
    return any(one not in heard for one in said + decided)


def _ask(scope: Scope, closing: Closing, run: Run, question: Question) -> None:
    now = closing.clock.now()
    approval = Approval(
        id=closing.ids("apr"),
        run=run.id,
        agent=run.agent,
        key=question.key,
        call=question.call,
        connection=question.connection,
        operation=question.operation,
        arguments=question.arguments,
        hash=question.hash,
        reason=question.reason,
        kind=question.kind,
        attempts=question.attempts,
        created_at=now,
        expires_at=now + timedelta(hours=closing.approval_hours),
    )
    scope.approvals.add(approval)
    told = {"approval": approval.id, "operation": approval.operation, "hash": approval.hash}
    scope.events.append(run.id, "approval.asked", told, at=now)
    note(
        scope.connection,
        at=now,
        tenant=scope.tenant,
        actor=ACTOR,
        action="approval.asked",
        subject=approval.id,
        detail={"key": approval.key} | ({"reason": approval.reason} if approval.again else {}),
        run=run.id,
        policy=run.version,
        arguments=approval.hash,
    )


def _delegate(scope: Scope, closing: Closing, run: Run, child: Child) -> tuple[Run, Fail] | None:
    """
    Start the child; what it is told is made of everything its parent was shown.

    Return it, and why, if the tenant may not have one more at work: its parent is to hear that and go on.
    """
    refusal = _refusal(scope, closing.clock)
    label = reduce(
        Label.join,
        (part.label for part in scope.parts.of_run(run.id)),
        Label(origins=frozenset({Origin.MODEL})),
    )
    task = Part(role=Role.USER, content={"text": child.text}, label=label)
    started = delegate(
        scope, closing.engine, ids=closing.ids, clock=closing.clock, parent=run, call=child.call, input=task
    )
    told = {"run": started.id, "call": child.call}
    scope.events.append(run.id, "child.started", told, at=closing.clock.now())
    return None if refusal is None else (started, refusal)


def _refusal(scope: Scope, clock: Clock) -> Fail | None:
    try:
        admit(scope.connection, scope.tenant, Quota.EXECUTORS, at=clock.now())
    except Denied as error:
        return Fail(error.code, error.message, error.remedy)
    return None


def _note(scope: Scope, over: Run, *, clock: Clock, by: str, detail: dict[str, Any]) -> None:
    note(
        scope.connection,
        at=clock.now(),
        tenant=scope.tenant,
        actor=by,
        action=f"run.{over.state}",
        subject=over.id,
        detail=detail | {"segment": over.segment, "epoch": over.epoch, "trace": over.trace},
        run=over.id,
        policy=over.version,
    )
