"""Runs that are stopped, repeated, taken over or forgotten, over a real database: nothing doubled, nothing lost."""

import asyncio
from typing import Any

import pytest

from freehold.core.runs import RunState
from freehold.runs.cancelling import cancel
from freehold.runs.endings import Done, Ending
from freehold.runs.reconciling import reconcile
from freehold.runs.segment import Result, Segment
from tests.scripts import (
    away,
    counts_and_dies,
    take_over,
)
from tests.stages import ACME, Stage


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

    async def test_what_breaks_for_one_run_is_mended_for_the_others(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await stage.engine.drain(0)
        broken, sound = stage.start(), stage.start()
        stage.engine.lose()
        submit = stage.engine.submit

        def submit_but_one(*words: Any, run: str, **named: Any) -> None:
            if run == broken.id:
                raise ZeroDivisionError
            submit(*words, run=run, **named)

        monkeypatch.setattr(stage.engine, "submit", submit_but_one)
        await stage.engine.start(stage.segments.carry)
        assert reconcile(stage.store, stage.engine, under_way=(), clock=stage.clock) == 1
        await stage.settle()
        assert stage.run(sound.id).state is RunState.DONE
