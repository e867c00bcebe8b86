"""What follows from the end of a run, in the same transaction: its answer leaves, and others go on."""

from freehold.core.approvals import ApprovalState
from freehold.core.clock import Clock
from freehold.core.runs import FINAL, Run, RunEvent, RunState
from freehold.runs.engine import Engine
from freehold.runs.resuming import resume_if_free, signalled, submit_turn
from freehold.store.outbox import Outgoing
from freehold.store.scope import Scope


def end(scope: Scope, engine: Engine, over: Run, *, clock: Clock) -> None:
    """
    Write down `over`, a run that has just reached a final state, and all that follows.

    Its open questions expire, its children are cancelled, its answer goes to the outbox, its parent hears of it,
    and the next turn of its conversation is queued.
    """
    scope.runs.move(over)
    engine.withdraw(scope.connection, run=over.id, segment=over.segment)
    scope.events.append(over.id, f"run.{over.state}", _told(over), at=clock.now())
    _close_questions(scope, over, clock=clock)
    _stop_children(scope, engine, over, clock=clock)
    _answer(scope, over, clock=clock)
    if over.parent is not None:
        _tell_parent(scope, engine, over, over.parent, clock=clock)
    if over.conversation is not None:
        _next_turn(scope, engine, over.conversation)


def _told(over: Run) -> dict[str, object]:
    if over.state is RunState.DONE:
        return {"output": over.output}
    return dict(over.error or {})


def _close_questions(scope: Scope, over: Run, *, clock: Clock) -> None:
    now = clock.now()
    for approval in scope.approvals.of_run(over.id):
        if approval.state is ApprovalState.ASKED:
            scope.approvals.settle(approval.decided(ApprovalState.EXPIRED, by="run", at=now))
            scope.events.append(over.id, "approval.expired", {"approval": approval.id}, at=now)


def _stop_children(scope: Scope, engine: Engine, over: Run, *, clock: Clock) -> None:
    for child in scope.runs.children(over.id):
        if child.state not in FINAL:
            # It tells its parent, who is over and does not mind.
            end(scope, engine, child.after(RunEvent.CANCEL, at=clock.now()), clock=clock)


def _answer(scope: Scope, over: Run, *, clock: Clock) -> None:
    """Put the answer into the outbox if its message came by a channel; the row's id is the run's, so there is one."""
    channel = None if over.message is None else scope.talk.message(over.message).channel
    if channel is None:
        return
    now = clock.now()
    outgoing = "out_" + over.id.removeprefix("run_")
    scope.outbox.add(
        Outgoing(
            id=outgoing,
            run=over.id,
            channel=channel,
            payload={"state": over.state},
            due_at=now,
            created_at=now,
            trace=over.trace,
        )
    )


def _tell_parent(scope: Scope, engine: Engine, over: Run, parent_id: str, *, clock: Clock) -> None:
    parent = scope.runs.get(parent_id)
    payload = {"call": over.call, "state": over.state, "output": over.output, "error": over.error}
    signalled(scope, parent, signal=over.id, name="child.ended", payload=payload, clock=clock)
    scope.events.append(parent.id, "child.ended", {"run": over.id, "state": over.state}, at=clock.now())
    resume_if_free(scope, engine, parent, clock=clock, why="child")


def _next_turn(scope: Scope, engine: Engine, conversation: str) -> None:
    turn = scope.runs.turn_of(conversation)
    if turn is not None and turn.state is RunState.QUEUED:
        submit_turn(scope, engine, turn)
