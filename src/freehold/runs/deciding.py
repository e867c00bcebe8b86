"""Deciding a question: approved, denied, or expired because nobody did."""

from freehold.audit.database import note
from freehold.core.approvals import Approval, ApprovalState
from freehold.core.clock import Clock
from freehold.core.errors import BadTransition, Conflict
from freehold.runs.engine import Engine
from freehold.runs.resuming import resume_if_free
from freehold.store.scope import Scope


def decide(
    scope: Scope,
    engine: Engine,
    *,
    approval: str,
    approve: bool,
    hash: str,  # noqa: A002 - the noun's own word
    by: str,
    clock: Clock,
) -> Approval:
    """
    Write the decision down and return the approval; its run goes on once nothing is open any more.

    Raises `Conflict` (`stale_hash`) if `hash` is not that of what was asked, and `BadTransition` if the
    question is closed already.
    """
    found = scope.approvals.get(approval)
    if found.hash != hash:
        raise Conflict(
            "This decision was made about something else than what is asked.",
            code="stale_hash",
            remedy="Look at the approval again and decide about the hash it shows.",
        )
    state = ApprovalState.APPROVED if approve else ApprovalState.DENIED
    return _settle(scope, engine, found, state, by=by, clock=clock)


def expire(scope: Scope, engine: Engine, *, approval: str, clock: Clock) -> Approval:
    """Close a question that nobody answered in time; its run goes on and is told so."""
    return _settle(scope, engine, scope.approvals.get(approval), ApprovalState.EXPIRED, by="clock", clock=clock)


def _settle(scope: Scope, engine: Engine, found: Approval, state: ApprovalState, *, by: str, clock: Clock) -> Approval:
    now = clock.now()
    decided = found.decided(state, by=by, at=now)
    if not scope.approvals.settle(decided):
        raise BadTransition("approval", scope.approvals.get(found.id).state, f"become {state}")
    scope.events.append(found.run, f"approval.{state}", {"approval": found.id, "by": by}, at=now)
    note(
        scope.connection,
        at=now,
        tenant=scope.tenant,
        actor=by,
        action=f"approval.{state}",
        subject=found.id,
        detail={"key": found.key},
        run=found.run,
        arguments=found.hash,
        approver=by if state is ApprovalState.APPROVED else "",
    )
    resume_if_free(scope, engine, scope.runs.get(found.run), clock=clock, why=f"approval {state}")
    return decided
