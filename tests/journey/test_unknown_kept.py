"""Questions about what may have happened already, as the database keeps them."""

from datetime import timedelta

from freehold.audit.database import table
from freehold.core.approvals import OUTCOME_UNKNOWN, ApprovalState
from freehold.core.runs import RunState, WaitsFor
from freehold.runs.clockwork import ring
from freehold.runs.deciding import decide
from freehold.runs.endings import Done, Ending, Park, Question
from freehold.runs.segment import Segment
from tests.scripts import approvals
from tests.stages import Stage


async def breaks_off(segment: Segment) -> Ending:
    """Ask about the same key again, as long as a person says that it is to be done once more."""
    newest = max(segment.approvals, key=lambda one: one.attempts, default=None)
    if newest is not None and newest.state is not ApprovalState.APPROVED:
        return Done(f"{newest.state} after {newest.attempts}")
    question = Question(
        key=f"{segment.run.id}/1/1/1",
        call="c1",
        connection="crm",
        operation="add",
        arguments={},
        hash="h1",
        reason=OUTCOME_UNKNOWN,
        kind="message",
        attempts=len(segment.approvals) + 1,
    )
    return Park(waits_for=WaitsFor.PERSON, questions=(question,))


async def test_each_attempt_has_an_approval_of_its_own(stage: Stage) -> None:
    stage.script = breaks_off
    run = stage.start(attended=False)
    await stage.settle()
    for attempts in (1, 2, 3):
        (asked,) = [one for one in approvals(stage, run.id) if one.state is ApprovalState.ASKED]
        assert (asked.again, asked.reason, asked.kind, asked.attempts) == (True, OUTCOME_UNKNOWN, "message", attempts)
        stage.do(decide, approval=asked.id, approve=attempts < 3, hash="h1", by="key:1")
        await stage.settle()
    assert stage.run(run.id).output == "denied after 3"
    assert [one.key for one in approvals(stage, run.id)] == [f"{run.id}/1/1/1"] * 3


async def test_one_that_nobody_answers_expires_and_the_run_goes_on(stage: Stage) -> None:
    stage.script = breaks_off
    run = stage.start(attended=False)
    await stage.settle()
    assert stage.run(run.id).state is RunState.WAITING
    stage.clock.wind(timedelta(hours=2).total_seconds())
    ring(stage.store, stage.engine, clock=stage.clock)
    await stage.settle()
    assert stage.run(run.id).output == "expired after 1"


async def test_the_record_says_why_it_was_asked(stage: Stage) -> None:
    stage.script = breaks_off
    stage.start()
    await stage.settle()
    with stage.store.database.read() as connection:
        rows = connection.execute(table.select()).mappings().all()
    (asked,) = [row for row in rows if row["action"] == "approval.asked"]
    assert OUTCOME_UNKNOWN in str(asked["detail"])
