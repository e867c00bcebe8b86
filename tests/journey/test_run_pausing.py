"""Pausing runs: they stand still where they are and go on from there; nothing begins in a tenant that stands still."""

import asyncio
import threading
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from freehold.core.errors import Conflict
from freehold.core.runs import FINAL, RunState, WaitsFor
from freehold.core.tenants import TenantState
from freehold.runs.endings import Done, Ending, Park
from freehold.runs.pausing import pause, unpause
from freehold.runs.reconciling import reconcile
from freehold.runs.segment import Segment
from tests.stages import ACME, Stage


class Working:
    """A script whose first step waits until it may go on, counting how often each step is really taken."""

    def __init__(self) -> None:
        self.gate, self.begun = asyncio.Event(), asyncio.Event()
        self.taken: list[str] = []

    async def __call__(self, segment: Segment) -> Ending:
        for n in (1, 2):
            key = f"{segment.run.id}/{segment.run.segment}/1/{n}"
            await segment.step(key=key, kind="tool", name="t", do=partial(self._do, n))
        return Done(f"by owner {segment.run.epoch}")

    async def _do(self, n: int) -> dict[str, Any]:
        self.taken.append(f"step {n}")
        if n == 2:
            self.begun.set()
            await self.gate.wait()
        return {"value": n}


def mend(stage: Stage) -> None:
    reconcile(stage.store, stage.engine, under_way=stage.segments.under_way(), clock=stage.clock)


async def test_a_run_that_was_at_work_does_its_segment_again_and_reads_back_what_was_recorded(stage: Stage) -> None:
    working = stage.script = Working()
    run = stage.start()
    await working.begun.wait()
    stage.be(TenantState.SUSPENDED)
    assert stage.pause(stage.segments.stop) == 1
    await stage.engine.settle()
    assert stage.run(run.id).state is RunState.PAUSED
    working.gate.set()
    stage.be(TenantState.ACTIVE)
    stage.unpause()
    await stage.engine.settle()
    over = stage.run(run.id)
    assert (over.state, over.segment, over.output) == (RunState.DONE, 1, "by owner 2")
    assert working.taken == ["step 1", "step 2", "step 2"]


async def test_a_run_paused_and_let_go_on_before_its_worker_noticed_is_done_once(stage: Stage) -> None:
    working = stage.script = Working()
    run = stage.start()
    await working.begun.wait()
    with stage.store.tenant(ACME.id).write() as scope:
        pause(scope, stage.engine, scope.runs.get(run.id), clock=stage.clock, why="test")
    with stage.store.tenant(ACME.id).write() as scope:
        unpause(scope, stage.engine, scope.runs.get(run.id), clock=stage.clock)
    working.gate.set()
    for _ in range(3):
        await stage.engine.settle()
        mend(stage)
    await stage.engine.settle()
    over = stage.run(run.id)
    assert (over.state, over.epoch) == (RunState.DONE, 2)


async def test_what_is_queued_when_its_tenant_is_suspended_never_begins(stage: Stage) -> None:
    stage.be(TenantState.SUSPENDED)
    stage.be(TenantState.ACTIVE)
    run = stage.start()
    stage.be(TenantState.SUSPENDED)  # and whoever did it died before it paused anything
    await stage.engine.settle()
    assert (stage.began, stage.run(run.id).state) == ([], RunState.PAUSED)
    stage.be(TenantState.ACTIVE)  # and died again
    stage.put_in_place()
    await stage.engine.settle()
    assert stage.run(run.id).state is RunState.DONE


@pytest.mark.parametrize("state", [TenantState.DRAFT, TenantState.SUSPENDED, TenantState.DELETED])
async def test_nothing_starts_in_a_tenant_that_is_not_active(stage: Stage, state: TenantState) -> None:
    stage.be(state)
    with pytest.raises(Conflict) as refused:
        stage.start()
    assert refused.value.code == "tenant_not_active"
    assert stage.runs() == []


async def test_of_runs_that_start_while_the_suspension_commits_none_begins_afterwards(stage: Stage) -> None:
    barrier, refused, last = threading.Barrier(9), list[Conflict](), list[int]()

    def start() -> None:
        barrier.wait()
        for _ in range(5):
            try:
                stage.start()
            except Conflict as error:
                refused.append(error)

    def suspend() -> None:
        barrier.wait()
        with stage.store.write() as platform:
            platform.tenants.save(replace(platform.tenants.find(ACME.id), state=TenantState.SUSPENDED))
            last.append(platform.last_position())

    threads = [threading.Thread(target=start) for _ in range(8)] + [threading.Thread(target=suspend)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    await stage.engine.settle()
    stage.pause(stage.segments.stop)
    await stage.engine.settle()
    runs = stage.runs()
    assert len(runs) + len(refused) == 40
    assert {run.state for run in runs} <= {RunState.PAUSED, *FINAL}
    with stage.store.read() as platform:
        after = {event["type"] for event in platform.events_behind(last[0])}
    assert not after & {"run.queued", "run.started", "run.restarted"}


async def test_many_runs_are_paused_and_go_on(stage: Stage) -> None:
    for _ in range(200):
        stage.start()
        stage.engine.lose()
    stage.be(TenantState.SUSPENDED)
    stage.pause()
    assert {run.state for run in stage.runs()} <= {RunState.PAUSED, RunState.DONE}
    stage.be(TenantState.ACTIVE)
    stage.unpause()
    await stage.engine.settle()
    mend(stage)
    await stage.engine.settle()
    assert {run.state for run in stage.runs()} == {RunState.DONE}


async def test_a_run_that_slept_longer_than_its_time_wakes_when_it_goes_on(stage: Stage) -> None:
    async def sleepy(segment: Segment) -> Ending:
        if segment.run.segment > 1:
            return Done("awake")
        return Park(waits_for=WaitsFor.TIME, wake_at=segment.clock.now().replace(year=2027))

    stage.script = sleepy
    run = stage.start()
    await stage.engine.settle()
    with stage.store.tenant(ACME.id).write() as scope:
        paused = pause(scope, stage.engine, scope.runs.get(run.id), clock=stage.clock, why="test")
        assert paused.waits_for is WaitsFor.TIME
        assert unpause(scope, stage.engine, paused, clock=stage.clock).state is RunState.WAITING
    assert stage.run(run.id).wake_at is not None


async def test_what_a_person_paused_does_not_go_on_with_its_tenant(stage: Stage) -> None:
    stage.be(TenantState.ACTIVE)
    run = stage.start()
    with stage.store.tenant(ACME.id).write() as scope:
        pause(scope, stage.engine, scope.runs.get(run.id), clock=stage.clock, why="key:1")
    stage.be(TenantState.SUSPENDED)
    stage.pause()
    stage.be(TenantState.ACTIVE)
    stage.unpause()
    assert stage.put_in_place() == 0
    assert stage.run(run.id).state is RunState.PAUSED
