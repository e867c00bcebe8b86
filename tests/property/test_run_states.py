"""The run's state table: whatever happens in whatever order, it stays on its arrows."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from freehold.core.errors import BadTransition
from freehold.core.runs import FINAL, TRANSITIONS, Run, RunEvent, RunState, Trigger, WaitsFor
from freehold.testing.clock import START

OWNING = {RunEvent.START, RunEvent.RESTART}


def fresh() -> Run:
    return Run(id="run_1", agent="agt_1", version="ver_1", trigger=Trigger.API, created_at=START)


@given(st.lists(st.sampled_from(RunEvent)))
def test_no_story_leaves_a_final_state(events: list[RunEvent]) -> None:
    run = fresh()
    for event in events:
        before = run
        try:
            run = run.after(event, at=START)
        except BadTransition:
            assert (before.state, event) not in TRANSITIONS
            continue
        assert before.state not in FINAL
        assert run.revision == before.revision + 1


def test_every_state_can_be_reached_and_every_one_that_is_not_final_can_be_left() -> None:
    assert {RunState.QUEUED, *TRANSITIONS.values()} == set(RunState)
    assert {state for state, _event in TRANSITIONS} == set(RunState) - FINAL


def test_whatever_is_not_over_can_be_cancelled_and_can_fail() -> None:
    for state in set(RunState) - FINAL:
        assert TRANSITIONS[state, RunEvent.CANCEL] is RunState.CANCELLED
        assert TRANSITIONS[state, RunEvent.FAIL] is RunState.FAILED


@given(waits_for=st.sampled_from(sorted(set(WaitsFor) - {WaitsFor.PAUSE})))
def test_a_run_that_is_paused_while_it_waits_waits_on_for_the_same(waits_for: WaitsFor) -> None:
    due = START + timedelta(hours=1)
    running = fresh().after(RunEvent.START, at=START)
    waiting = running.after(RunEvent.PARK, at=START, waits_for=waits_for, wake_at=due)
    back = waiting.after(RunEvent.PAUSE, at=START).after(RunEvent.PARK, at=START)
    assert (back.state, back.waits_for, back.wake_at, back.segment) == (RunState.WAITING, waits_for, due, 1)


def test_a_run_that_is_paused_while_it_runs_does_the_same_segment_again_as_a_new_owner() -> None:
    running = fresh().after(RunEvent.START, at=START)
    back = running.after(RunEvent.PAUSE, at=START).after(RunEvent.UNPAUSE, at=START)
    assert (back.state, back.segment) == (RunState.QUEUED, 1)
    assert back.after(RunEvent.START, at=START).epoch == 2


class Story(RuleBasedStateMachine):
    """One run lived through by chance, beside what should be true of it."""

    @initialize()
    def begin(self) -> None:
        self.run, self.now = fresh(), START
        self.owners = self.resumes = 0

    @rule(event=st.sampled_from(RunEvent), waits_for=st.none() | st.sampled_from(WaitsFor))
    def happen(self, event: RunEvent, waits_for: WaitsFor | None) -> None:
        self.now += timedelta(seconds=1)
        try:
            self.run = self.run.after(event, at=self.now, waits_for=waits_for)
        except BadTransition:
            return
        self.owners += event in OWNING
        self.resumes += event is RunEvent.RESUME

    @invariant()
    def each_owner_has_an_epoch_of_its_own(self) -> None:
        assert self.run.epoch == self.owners

    @invariant()
    def each_resume_begins_a_segment(self) -> None:
        assert self.run.segment == 1 + self.resumes

    @invariant()
    def what_it_waits_for_is_known_while_it_stands_still(self) -> None:
        if self.run.state is RunState.PAUSED:
            assert self.run.waits_for is not None

    @invariant()
    def it_ends_when_it_is_over_and_not_before(self) -> None:
        assert (self.run.ended_at is not None) == (self.run.state in FINAL)

    @invariant()
    def it_started_when_it_was_first_owned(self) -> None:
        assert (self.run.started_at is not None) == (self.owners > 0)


TestStory = Story.TestCase
