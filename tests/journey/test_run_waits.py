"""What runs wait for, over a real database: people, children, the clock and signals; each wakes them once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from freehold.core.approvals import ApprovalState
from freehold.core.errors import BadTransition, Conflict, Invalid
from freehold.core.parts import Origin
from freehold.core.runs import RunState, Trigger, WaitsFor
from freehold.runs.cancelling import cancel
from freehold.runs.clockwork import ring
from freehold.runs.deciding import decide
from freehold.runs.endings import Child, Done, Ending, Park
from freehold.runs.segment import Segment
from freehold.runs.signalling import signal
from freehold.runs.starting import MAX_DEPTH
from tests.scripts import (
    QUESTION,
    approvals,
    asks_once,
    delegates,
    once,
    send,
)
from tests.stages import ACME, Stage


class TestQuestions:
    async def test_a_question_parks_the_run_until_it_is_decided(self, stage: Stage) -> None:
        stage.script = asks_once
        run = stage.start()
        await stage.settle()
        assert (stage.run(run.id).state, stage.run(run.id).waits_for) == (RunState.WAITING, WaitsFor.PERSON)
        (asked,) = approvals(stage, run.id)
        stage.do(decide, approval=asked.id, approve=True, hash="h1", by="key:1")
        await stage.settle()
        assert stage.run(run.id).output == "approved"
        assert stage.run(run.id).segment == 2
        assert "approval.approved" in stage.events(run.id)

    async def test_a_decision_about_other_bytes_is_refused_and_changes_nothing(self, stage: Stage) -> None:
        stage.script = asks_once
        run = stage.start()
        await stage.settle()
        (asked,) = approvals(stage, run.id)
        with pytest.raises(Conflict) as refused:
            stage.do(decide, approval=asked.id, approve=True, hash="other", by="key:1")
        assert refused.value.code == "stale_hash"
        assert approvals(stage, run.id) == [asked]

    async def test_a_question_is_decided_once(self, stage: Stage) -> None:
        stage.script = asks_once
        run = stage.start()
        await stage.settle()
        (asked,) = approvals(stage, run.id)
        stage.do(decide, approval=asked.id, approve=False, hash="h1", by="key:1")
        with pytest.raises(BadTransition):
            stage.do(decide, approval=asked.id, approve=True, hash="h1", by="key:2")
        await stage.settle()
        assert stage.run(run.id).output == "denied"

    async def test_a_run_waits_until_all_its_questions_are_decided(self, stage: Stage) -> None:
        second = replace(QUESTION, key="k/2", call="c2", hash="h2")
        stage.script = once(Park(waits_for=WaitsFor.PERSON, questions=(QUESTION, second)), Done("went on"))
        run = stage.start()
        await stage.settle()
        one, two = approvals(stage, run.id)
        stage.do(decide, approval=one.id, approve=True, hash="h1", by="key:1")
        await stage.settle()
        assert stage.run(run.id).state is RunState.WAITING
        stage.do(decide, approval=two.id, approve=False, hash="h2", by="key:1")
        await stage.settle()
        assert stage.run(run.id).output == "went on"

    async def test_a_question_nobody_answers_expires_and_the_run_goes_on(self, stage: Stage) -> None:
        stage.script = asks_once
        run = stage.start()
        await stage.settle()
        assert ring(stage.store, stage.engine, clock=stage.clock) == 0
        stage.clock.wind(3601)
        assert ring(stage.store, stage.engine, clock=stage.clock) == 1
        await stage.settle()
        assert stage.run(run.id).output == "expired"

    async def test_the_questions_of_a_cancelled_run_cannot_be_approved_any_more(self, stage: Stage) -> None:
        stage.script = asks_once
        run = stage.start()
        await stage.settle()
        stage.do(cancel, run=run.id, by="key:1")
        (asked,) = approvals(stage, run.id)
        assert asked.state is ApprovalState.EXPIRED
        with pytest.raises(BadTransition):
            stage.do(decide, approval=asked.id, approve=True, hash="h1", by="key:1")


class TestChildren:
    async def test_a_parent_goes_on_with_the_answers_of_its_children(self, stage: Stage) -> None:
        stage.script = delegates("one", "two")
        run = stage.start()
        await stage.settle()
        parent, *children = stage.runs()
        assert parent.id == run.id
        assert parent.output == "c0: one, c1: two"
        assert [(child.trigger, child.depth, child.trace) for child in children] == [(Trigger.CHILD, 1, run.trace)] * 2
        assert stage.events(run.id).count("child.ended") == 2

    async def test_a_child_is_told_nothing_cleaner_than_its_parent_was(self, stage: Stage) -> None:
        stage.script = delegates("task")
        stage.start()
        await stage.settle()
        with stage.store.tenant(ACME.id).read() as scope:
            (task,) = scope.parts.of_run(stage.runs()[1].id)
        assert task.label.origins == {Origin.MEMBER, Origin.MODEL}

    async def test_cancelling_a_parent_cancels_its_children(self, stage: Stage) -> None:
        async def waits(segment: Segment) -> Ending:
            if segment.run.parent is None:
                return Park(waits_for=WaitsFor.CHILD, children=(Child(call="c", text="task"),))
            return Park(waits_for=WaitsFor.PERSON, questions=(QUESTION,))

        stage.script = waits
        run = stage.start()
        await stage.settle()
        stage.do(cancel, run=run.id, by="key:1")
        assert {run.state for run in stage.runs()} == {RunState.CANCELLED}

    async def test_a_cancelled_child_wakes_its_parent(self, stage: Stage) -> None:
        async def waits(segment: Segment) -> Ending:
            if segment.run.parent is not None:
                return Park(waits_for=WaitsFor.PERSON, questions=(QUESTION,))
            if segment.signals:
                return Done(segment.signals[0]["payload"]["state"])
            return Park(waits_for=WaitsFor.CHILD, children=(Child(call="c", text="task"),))

        stage.script = waits
        run = stage.start()
        await stage.settle()
        stage.do(cancel, run=stage.runs()[1].id, by="key:1")
        await stage.settle()
        assert stage.run(run.id).output == "cancelled"

    async def test_delegation_ends_at_its_deepest_level(self, stage: Stage) -> None:
        async def deeper(segment: Segment) -> Ending:
            if segment.signals:
                return Done("")
            return Park(waits_for=WaitsFor.CHILD, children=(Child(call="c", text="task"),))

        stage.script = deeper
        stage.start()
        await stage.settle()
        runs = stage.runs()
        assert len(runs) == MAX_DEPTH + 1
        assert runs[-1].error is not None
        assert runs[-1].error["code"] == "too_deep"
        assert runs[0].state is RunState.DONE


class TestTime:
    async def test_a_run_that_waits_for_a_time_goes_on_at_that_time(self, stage: Stage) -> None:
        stage.script = once(Park(waits_for=WaitsFor.TIME, wake_at=stage.now + timedelta(seconds=60)), Done("woke"))
        run = stage.start()
        await stage.settle()
        stage.clock.wind(59)
        assert ring(stage.store, stage.engine, clock=stage.clock) == 0
        stage.clock.wind(1)
        assert ring(stage.store, stage.engine, clock=stage.clock) == 1
        await stage.settle()
        assert stage.run(run.id).output == "woke"

    async def test_a_run_past_its_deadline_fails_wherever_it_stands(self, stage: Stage) -> None:
        stage.script = asks_once
        run = stage.start(deadline=stage.now + timedelta(seconds=60))
        await stage.settle()
        stage.clock.wind(60)
        ring(stage.store, stage.engine, clock=stage.clock)
        failed = stage.run(run.id)
        assert failed.error is not None
        assert failed.error["code"] == "deadline_passed"
        assert approvals(stage, run.id)[0].state is ApprovalState.EXPIRED

    async def test_a_decision_made_while_the_segment_runs_is_not_slept_through(self, stage: Stage) -> None:
        async def impatient(segment: Segment) -> Ending:
            match segment.run.segment:
                case 1:
                    wake_at = segment.clock.now() + timedelta(seconds=10)
                    return Park(waits_for=WaitsFor.PERSON, questions=(QUESTION,), wake_at=wake_at)
                case 2:
                    (asked,) = approvals(stage, segment.run.id)
                    words = {"approval": asked.id, "approve": True, "hash": "h1", "by": "key:1"}
                    await asyncio.to_thread(stage.do, decide, **words)
                    return Park(waits_for=WaitsFor.PERSON)
                case _:
                    return Done(segment.approvals[0].state)

        stage.script = impatient
        run = stage.start()
        await stage.settle()
        stage.clock.wind(10)
        ring(stage.store, stage.engine, clock=stage.clock)
        await stage.settle()
        assert stage.run(run.id).output == "approved"

    async def test_what_breaks_for_one_run_is_done_for_the_others(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def waits(segment: Segment) -> Ending:
            if segment.run.segment > 1:
                return Done("woken")
            return Park(waits_for=WaitsFor.TIME, wake_at=segment.clock.now() + timedelta(seconds=1))

        stage.script = waits
        broken, sound = stage.start(), stage.start()
        await stage.settle()
        stage.clock.wind(1)
        submit = stage.engine.submit

        def submit_but_one(*words: Any, run: str, **named: Any) -> None:
            if run == broken.id:
                raise ZeroDivisionError
            submit(*words, run=run, **named)

        monkeypatch.setattr(stage.engine, "submit", submit_but_one)
        ring(stage.store, stage.engine, clock=stage.clock)
        await stage.settle()
        assert (stage.run(sound.id).output, stage.run(broken.id).state) == ("woken", RunState.WAITING)
        monkeypatch.undo()
        ring(stage.store, stage.engine, clock=stage.clock)
        await stage.settle()
        assert stage.run(broken.id).output == "woken"


class TestSignals:
    async def test_a_signal_wakes_a_run_that_waits_and_the_same_one_again_changes_nothing(self, stage: Stage) -> None:
        async def waits(segment: Segment) -> Ending:
            return Done(str(len(segment.signals))) if len(segment.signals) > 1 else Park(waits_for=WaitsFor.PERSON)

        stage.script = waits
        run = stage.start()
        await stage.settle()
        for ident in ("a", "a", "b"):
            send(stage, run.id, ident)
            await stage.settle()
        assert (stage.run(run.id).output, stage.run(run.id).segment) == ("2", 3)
        assert stage.events(run.id).count("signal.received") == 2

    async def test_a_signal_that_comes_while_the_segment_runs_is_not_slept_through(self, stage: Stage) -> None:
        async def waits(segment: Segment) -> Ending:
            if segment.signals:
                return Done("heard")
            await asyncio.to_thread(send, stage, segment.run.id, "a")
            return Park(waits_for=WaitsFor.PERSON)

        stage.script = waits
        run = stage.start()
        await stage.settle()
        assert stage.run(run.id).output == "heard"

    async def test_a_signal_does_not_answer_an_open_question(self, stage: Stage) -> None:
        stage.script = asks_once
        run = stage.start()
        await stage.settle()
        send(stage, run.id, "a")
        assert stage.run(run.id).state is RunState.WAITING

    @pytest.mark.parametrize(("ident", "name"), [("a", "child.ended"), ("run_1", "go")])
    async def test_nobody_can_pass_for_a_child_or_take_its_place(self, stage: Stage, ident: str, name: str) -> None:
        async def wait(segment: Segment) -> Ending:
            if segment.run.parent or segment.signals:
                return Done(str([signal["payload"].get("output") for signal in segment.signals]))
            return Park(waits_for=WaitsFor.CHILD, children=(Child(call="c1", text="help"),))

        stage.script = wait
        parent = stage.start()
        with pytest.raises(Invalid, match="platform alone"):
            stage.do(signal, run=parent.id, signal=ident, name=name, payload={"call": "c1"}, by="key")
        await stage.settle()
        assert stage.run(parent.id).output == "['[]']"

    async def test_what_is_over_cannot_be_signalled(self, stage: Stage) -> None:
        run = stage.start()
        await stage.settle()
        with pytest.raises(BadTransition):
            send(stage, run.id, "a")
