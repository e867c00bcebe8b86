"""Runs from start to end, over a real database, and turns of conversations in order."""

import asyncio

import pytest

from freehold.core.errors import Invalid
from freehold.core.parts import Role
from freehold.core.runs import RunState, WaitsFor
from freehold.runs.cancelling import cancel
from freehold.runs.endings import Done, Ending, Fail, Park
from freehold.runs.segment import Segment
from freehold.testing.contract.engine import until
from tests.scripts import (
    QUESTION,
    always,
    two_steps,
)
from tests.stages import ACME, Stage


class TestTheStraightWay:
    async def test_a_run_answers_what_was_said(self, stage: Stage) -> None:
        run = stage.start("hello")
        await stage.settle()
        done = stage.run(run.id)
        assert (done.state, done.output, done.epoch, done.segment) == (RunState.DONE, "hello", 1, 1)
        assert stage.events(run.id) == ["run.queued", "run.started", "run.done"]

    async def test_a_run_carries_the_trace_it_was_given_and_gets_one_where_it_was_given_none(
        self, stage: Stage
    ) -> None:
        trace = f"00-{'a' * 32}-{'b' * 16}-01"
        assert stage.start(trace=trace).trace == trace
        assert len(stage.start(trace="nonsense").trace) == len(trace)
        await stage.settle()

    async def test_a_deadline_that_has_passed_is_refused(self, stage: Stage) -> None:
        with pytest.raises(Invalid) as refused:
            stage.start(deadline=stage.now)
        assert refused.value.code == "deadline_passed"
        assert stage.runs() == []

    async def test_steps_and_their_parts_are_written_together_with_their_events(self, stage: Stage) -> None:
        stage.script = two_steps
        run = stage.start()
        await stage.settle()
        with stage.store.tenant(ACME.id).read() as scope:
            steps, parts = scope.steps.of(run.id), scope.parts.of_run(run.id)
        assert [step.key for step in steps] == [f"{run.id}/1/1/0", f"{run.id}/1/1/1"]
        assert [part.role for part in parts] == [Role.USER, Role.ASSISTANT, Role.RESULT]
        assert stage.events(run.id)[2:-1] == ["step.started", "step.finished"] * 2

    async def test_what_the_body_says_went_wrong_is_what_the_run_failed_for(self, stage: Stage) -> None:
        stage.script = always(Fail("provider_refused", "No.", "Ask nicely."))
        run = stage.start()
        await stage.settle()
        assert stage.run(run.id).error == {"code": "provider_refused", "message": "No.", "remedy": "Ask nicely."}

    async def test_a_bug_fails_the_run_and_says_nothing_of_its_inside(self, stage: Stage) -> None:
        async def broken(segment: Segment) -> Ending:
            raise ZeroDivisionError("secret inside")

        stage.script = broken
        run = stage.start()
        await stage.settle()
        failed = stage.run(run.id)
        assert failed.state is RunState.FAILED
        assert failed.error is not None
        assert failed.error["code"] == "bug"
        assert "secret" not in str(failed.error)


class TestConversations:
    async def test_turns_go_one_at_a_time_in_order(self, stage: Stage) -> None:
        gate = asyncio.Event()

        async def slow(segment: Segment) -> Ending:
            await gate.wait()
            return Done(segment.run.input)

        stage.script = slow
        conversation = stage.converse()
        turns = [stage.say(f"turn {n}", conversation) for n in range(4)]
        other = stage.say("other", stage.converse())
        await until(lambda: len(stage.began) == 2)
        assert sorted(stage.began) == sorted([turns[0].id, other.id])
        assert {stage.run(turn.id).state for turn in turns[1:]} == {RunState.QUEUED}
        gate.set()
        await stage.settle()
        assert [run for run in stage.began if run != other.id] == [turn.id for turn in turns]

    async def test_a_turn_sees_what_was_said_before_and_nothing_of_other_conversations(self, stage: Stage) -> None:
        seen: dict[str, list[str]] = {}

        async def listening(segment: Segment) -> Ending:
            seen[segment.run.input] = [part.content["text"] for part in segment.earlier]
            return Done("")

        stage.script = listening
        conversation = stage.converse()
        stage.say("one", conversation)
        stage.say("two", conversation)
        stage.say("elsewhere", stage.converse())
        await stage.settle()
        assert seen == {"one": ["one"], "two": ["one", "two"], "elsewhere": ["elsewhere"]}

    @pytest.mark.parametrize("ending", [Done("fine"), Fail("no", "no")], ids=str)
    async def test_an_answer_leaves_once_by_the_channel_its_message_came_by(self, stage: Stage, ending: Ending) -> None:
        stage.script = always(ending)
        run = stage.say("hello", stage.converse(), channel="chn_1")
        stage.say("hello", stage.converse())
        await stage.settle()
        with stage.store.read() as platform:
            due = platform.due_outgoing(stage.now)
        assert [row.id for row in due] == [run.id.replace("run_", "out_")]

    async def test_a_cancelled_turn_lets_the_next_one_go_and_its_sender_is_told(self, stage: Stage) -> None:
        stage.script = always(Park(waits_for=WaitsFor.PERSON, questions=(QUESTION,)))
        conversation = stage.converse()
        first, second = stage.say("one", conversation, channel="chn_1"), stage.say("two", conversation)
        await stage.settle()
        assert stage.run(second.id).state is RunState.QUEUED
        stage.script = always(Done("two"))
        stage.do(cancel, run=first.id, by="key:1")
        await stage.settle()
        assert stage.run(second.id).state is RunState.DONE
        with stage.store.read() as platform:
            assert len(platform.due_outgoing(stage.now)) == 1

    async def test_turns_that_wait_keep_no_other_run_of_the_tenant_from_its_slot(self, stage: Stage) -> None:
        gate = asyncio.Event()

        async def slow(segment: Segment) -> Ending:
            if segment.run.conversation:
                await gate.wait()
            return Done("")

        stage.script = slow
        conversation = stage.converse()
        for n in range(5):
            stage.say(str(n), conversation)
        free = stage.start()
        await until(lambda: stage.run(free.id).state is RunState.DONE)
        gate.set()
        await stage.settle()
        assert {run.state for run in stage.runs()} == {RunState.DONE}
