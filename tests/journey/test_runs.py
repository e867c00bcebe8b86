"""Runs from start to end, over a real database: every way on, every way out, and nothing doubled or lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from freehold.core.approvals import Approval, ApprovalState
from freehold.core.errors import BadTransition, Conflict, Invalid, Unavailable
from freehold.core.parts import Label, Origin, Part, Role
from freehold.core.runs import RunState, Trigger, WaitsFor
from freehold.runs.cancelling import cancel
from freehold.runs.clockwork import ring
from freehold.runs.deciding import decide
from freehold.runs.endings import Child, Done, Ending, Fail, Park, Question
from freehold.runs.reconciling import reconcile
from freehold.runs.segment import Result, Segment
from freehold.runs.signalling import signal
from freehold.runs.starting import MAX_DEPTH
from freehold.testing.contract.engine import until
from tests.stages import ACME, Stage, set_up

QUESTION = Question(
    key="k/1", call="c1", connection="sandbox", operation="delete_file", arguments={"path": "x"}, hash="h1"
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = set_up(tmp_path)
    await stage.engine.start(stage.segments.carry)
    yield stage
    await stage.engine.drain(0)
    stage.store.database.close()


def approvals(stage: Stage, run: str) -> list[Approval]:
    with stage.store.tenant(ACME.id).read() as scope:
        return scope.approvals.of_run(run)


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

    async def test_what_is_over_cannot_be_signalled(self, stage: Stage) -> None:
        run = stage.start()
        await stage.settle()
        with pytest.raises(BadTransition):
            send(stage, run.id, "a")


class TestCancelling:
    async def test_what_is_in_flight_stops_at_once_and_leaves_nothing(self, stage: Stage) -> None:
        flying = asyncio.Event()

        async def long(segment: Segment) -> Ending:
            async def do() -> Result:
                flying.set()
                await asyncio.Event().wait()
                return {}

            await segment.step(key="k", kind="model", name="rehearsal", do=do)
            return Done("never")

        stage.script = long
        run = stage.start()
        await flying.wait()
        stage.do(cancel, run=run.id, by="key:1")
        await stage.segments.look()
        async with asyncio.timeout(1):
            await stage.settle()
        assert stage.run(run.id).state is RunState.CANCELLED
        assert stage.events(run.id)[-1] == "run.cancelled"

    async def test_a_cancelled_run_takes_no_further_step_even_if_nobody_stops_it(self, stage: Stage) -> None:
        taken: list[str] = []

        async def stubborn(segment: Segment) -> Ending:
            async def do() -> Result:
                taken.append(segment.run.id)
                await asyncio.to_thread(stage.do, cancel, run=segment.run.id, by="key:1")
                return {"value": 1}

            await segment.step(key="a", kind="tool", name="a", do=do)
            await segment.step(key="b", kind="tool", name="b", do=do)
            return Done("never")

        stage.script = stubborn
        run = stage.start()
        await stage.settle()
        assert taken == [run.id]
        assert stage.run(run.id).state is RunState.CANCELLED
        with stage.store.tenant(ACME.id).read() as scope:
            assert scope.steps.of(run.id) == []

    async def test_cancelling_twice_is_no_error(self, stage: Stage) -> None:
        run = stage.start()
        await stage.settle()
        assert stage.do(cancel, run=run.id, by="key:1").state is RunState.DONE


class TestMending:
    async def test_a_repeated_segment_reads_its_steps_back(self, stage: Stage) -> None:
        done: list[str] = []
        stage.script = counts_and_dies(done)
        run = stage.start()
        await stage.settle()
        assert stage.run(run.id).output == "repeated"
        assert done == ["a", "b"]
        assert stage.events(run.id).count("run.restarted") == 1
        assert stage.run(run.id).epoch == 2

    async def test_a_segment_that_never_gets_anywhere_is_given_up(self, stage: Stage) -> None:
        stage.script = away
        run = stage.start()
        await stage.settle()
        failed = stage.run(run.id)
        assert failed.error is not None
        assert failed.error["code"] == "stuck"
        assert stage.events(run.id).count("run.restarted") == 5

    async def test_whose_run_was_taken_over_writes_nothing_more(self, stage: Stage) -> None:
        async def frozen(segment: Segment) -> Ending:
            if segment.repeated:
                return Done("successor")
            await asyncio.to_thread(take_over, stage, segment.run.id)
            return Done("zombie")

        stage.script = frozen
        run = stage.start()
        await stage.settle()
        assert stage.run(run.id).state is RunState.RUNNING
        assert reconcile(stage.store, stage.engine, under_way=(), clock=stage.clock) == 1
        await stage.settle()
        assert stage.run(run.id).output == "successor"

    async def test_an_engine_that_lost_everything_is_told_again(self, stage: Stage) -> None:
        await stage.engine.drain(0)
        conversation = stage.converse()
        turns = [stage.say(str(n), conversation) for n in range(3)]
        runs = [stage.start(str(n)) for n in range(3)]
        stage.engine.lose()
        await stage.engine.start(stage.segments.carry)
        assert reconcile(stage.store, stage.engine, under_way=(), clock=stage.clock) == 4
        await stage.settle()
        assert {stage.run(run.id).state for run in turns + runs} == {RunState.DONE}
        assert sorted(stage.began) == sorted(run.id for run in turns + runs)

    async def test_where_nothing_is_lost_nothing_is_told_again(self, stage: Stage) -> None:
        await stage.engine.drain(0)
        stage.start()
        assert reconcile(stage.store, stage.engine, under_way=(), clock=stage.clock) == 0


def always(ending: Ending) -> Any:
    async def script(segment: Segment) -> Ending:
        return ending

    return script


def once(first: Ending, then: Ending) -> Any:
    async def script(segment: Segment) -> Ending:
        return first if segment.run.segment == 1 else then

    return script


async def asks_once(segment: Segment) -> Ending:
    if segment.approvals:
        return Done(segment.approvals[0].state)
    return Park(waits_for=WaitsFor.PERSON, questions=(QUESTION,))


async def away(segment: Segment) -> Ending:
    raise Unavailable("The gateway is away.", after=0.1)


async def two_steps(segment: Segment) -> Ending:
    async def do() -> Result:
        return {"text": "yes", "value": 1}

    def parts(role: Role, content: dict[str, Any]) -> Any:
        return lambda _result: [Part(role=role, content=content, label=Label(origins=frozenset({Origin.MODEL})))]

    key = f"{segment.run.id}/1/1"
    await segment.step(key=f"{key}/0", kind="model", name="m", do=do, parts=parts(Role.ASSISTANT, {"text": "yes"}))
    await segment.step(key=f"{key}/1", kind="tool", name="t", do=do, parts=parts(Role.RESULT, {"value": 1}))
    return Done("yes")


def delegates(*tasks: str) -> Any:
    async def script(segment: Segment) -> Ending:
        if segment.run.parent is not None:
            return Done(segment.run.input)
        if not segment.signals:
            children = tuple(Child(call=f"c{n}", text=task) for n, task in enumerate(tasks))
            return Park(waits_for=WaitsFor.CHILD, children=children)
        ended = sorted((signal["payload"] for signal in segment.signals), key=lambda payload: str(payload["call"]))
        return Done(", ".join(f"{payload['call']}: {payload['output']}" for payload in ended))

    return script


def counts_and_dies(done: list[str]) -> Any:
    async def script(segment: Segment) -> Ending:
        async def do(name: str) -> Result:
            done.append(name)
            return {"value": name}

        await segment.step(key="a", kind="tool", name="a", do=lambda: do("a"))
        if not segment.repeated:
            raise Unavailable("The sandbox is away.", after=0.1)
        await segment.step(key="b", kind="tool", name="b", do=lambda: do("b"))
        return Done("repeated")

    return script


def send(stage: Stage, run: str, ident: str) -> None:
    stage.do(signal, run=run, signal=ident, name="go", payload={}, by="key:1")


def take_over(stage: Stage, run: str) -> None:
    """Do what a second worker does when it believes the first one dead."""
    with stage.store.tenant(ACME.id).write() as scope:
        found = scope.runs.get(run)
        scope.runs.move(replace(found, revision=found.revision + 1, epoch=found.epoch + 1))
