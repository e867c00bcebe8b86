"""What a tier allows runs: how many children at once, and how much each sandbox may use."""

import math
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import func, select, text

from freehold.catalog.tiers import UNLIMITED
from freehold.core.errors import Denied
from freehold.core.quotas import Quota
from freehold.core.runs import RunState, WaitsFor
from freehold.core.tenants import TierSource
from freehold.runs.endings import Child, Done, Ending, Park
from freehold.runs.segment import Segment
from freehold.sandboxes.allowing import ByTier, within
from freehold.sandboxes.runtime import Limits
from freehold.store.quotas import Tiers
from freehold.store.runs import AT_WORK, run_table
from tests.stages import ACME, Stage


def allow(stage: Stage, **limits: float) -> None:
    """Let the tenant have a tier with these limits."""
    with stage.store.write() as platform:
        tiers = Tiers(platform.connection)
        tiers.put("small", dict(UNLIMITED) | {Quota(name): limit for name, limit in limits.items()}, at=stage.now)
        tiers.give(ACME.id, "small", until=None, source=TierSource.OPERATOR)


def delegates(*tasks: str) -> Callable[[Segment], Awaitable[Ending]]:
    """Return a script: hand `tasks` to children, and when all are over tell what became of them."""

    async def script(segment: Segment) -> Ending:
        if segment.run.parent is not None:
            return Done(f"did {segment.run.input}")
        ended = {str(signal["payload"]["call"]): signal["payload"] for signal in segment.signals}
        if set(ended) >= set(tasks):
            return Done(" ".join(ended[task]["output"] or ended[task]["error"]["code"] for task in tasks))
        return Park(waits_for=WaitsFor.CHILD, children=tuple(Child(call=task, text=task) for task in tasks))

    return script


async def test_a_child_too_many_ends_at_once_and_its_parent_goes_on(stage: Stage) -> None:
    allow(stage, executors=2)
    stage.script = delegates("a", "b", "c")
    run = stage.start()
    await stage.settle()
    parent, *children = stage.runs()
    assert [child.state for child in children] == [RunState.DONE, RunState.DONE, RunState.FAILED]
    assert (children[2].error or {})["code"] == "quota_exceeded"
    assert stage.run(run.id).output == "did a did b quota_exceeded"
    assert len(stage.began) == 4  # the parent twice, and two children
    assert stage.events(parent.id).count("child.ended") == 3


async def test_a_tenant_without_executors_can_still_talk(stage: Stage) -> None:
    allow(stage, executors=0)
    stage.script = delegates("a")
    run = stage.start()
    await stage.settle()
    assert stage.run(run.id).output == "quota_exceeded"


async def test_places_of_children_that_are_over_are_free_again(stage: Stage) -> None:
    allow(stage, executors=1)
    stage.script = delegates("a")
    first, second = stage.start(), None
    await stage.settle()
    second = stage.start()
    await stage.settle()
    assert [stage.run(run.id).output for run in (first, second)] == ["did a", "did a"]


async def test_a_sandbox_gets_what_the_tier_allows_and_never_more_than_the_settings(stage: Stage) -> None:
    allowance = ByTier(stage.store, Limits(memory_mb=512, cpus=1.0, disk_mb=1024), stage.clock)
    assert await allowance(ACME.id) == Limits(memory_mb=512, cpus=1.0, disk_mb=1024)
    allow(stage, memory_mb=256, cpu=0.25, storage_mb=math.inf)
    assert await allowance(ACME.id) == Limits(memory_mb=256, cpus=0.25, disk_mb=1024)
    allow(stage, memory_mb=4096, cpu=8, storage_mb=100)
    assert await allowance(ACME.id) == Limits(memory_mb=512, cpus=1.0, disk_mb=100)


@pytest.mark.parametrize("quota", [Quota.MEMORY_MB, Quota.CPU, Quota.STORAGE_MB])
def test_a_tier_that_gives_nothing_gives_no_sandbox(quota: Quota) -> None:
    with pytest.raises(Denied) as refused:
        within(Limits(), dict(UNLIMITED) | {quota: 0.0})
    assert refused.value.code == "quota_exceeded"


def test_children_at_work_are_counted_without_a_look_at_those_that_are_over(stage: Stage) -> None:
    query = select(func.count()).select_from(run_table).where(run_table.c.tenant == "ten_1", AT_WORK)
    spelt = query.compile(dialect=stage.store.database.engine.dialect, compile_kwargs={"literal_binds": True})
    with stage.store.database.read() as connection:
        (plan,) = connection.execute(text(f"EXPLAIN QUERY PLAN {spelt}"))
    assert "runs_children_at_work" in plan[3]


async def test_when_the_tier_ends_what_began_goes_on_and_delegates_nothing_more(stage: Stage) -> None:
    async def late(segment: Segment) -> Ending:
        if segment.run.segment == 1:
            with stage.store.write() as platform:
                Tiers(platform.connection).give(ACME.id, "pro", until=stage.now, source=TierSource.TRIAL)
        return await delegates("a")(segment)

    stage.script = late
    run = stage.start()
    await stage.settle()
    assert stage.run(run.id).output == "tier_ended"
