"""A sandbox is listened for from before it wakes until it sleeps, in the name of its run as it stands."""

from dataclasses import replace
from typing import Any, final

import pytest

from freehold.core.errors import Unavailable
from freehold.core.ids import Ids
from freehold.gateway.client import Work
from freehold.sandboxes.runtime import Limits
from freehold.sandboxes.waking import Sandboxes
from freehold.testing.clock import FakeClock
from freehold.testing.runtime import MemoryRuntime

IDLE = 60.0


async def unread(work: Work, **row: Any) -> None:
    """Take down nothing."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def runtime() -> MemoryRuntime:
    return MemoryRuntime()


def work(run: str = "run_1") -> Work:
    return Work(tenant="ten_1", agent="agt_1", version="ver_1", run=run, epoch=1)


@final
class Listening:
    """Listens for sandboxes as the gateway does; may be away."""

    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []
        self.open: dict[str, Work] = {}
        self.holders: set[str] = set()
        self.away = False

    async def open_box(self, work: Work, *, sandbox: str, uid: int, holder: str) -> bool:
        if self.away:
            raise Unavailable("The gateway is away.", code="gateway_away")
        self.said.append(("open", work.run, str(work.epoch), str(uid)))
        self.holders.add(holder)
        fresh = sandbox not in self.open
        self.open[sandbox] = work
        return fresh

    async def close_box(self, sandbox: str) -> None:
        if self.away:
            raise Unavailable("The gateway is away.", code="gateway_away")
        self.open.pop(sandbox, None)


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.fixture
def with_boxes(runtime: MemoryRuntime, clock: FakeClock, listening: Listening) -> Sandboxes:
    runtime.boxes = True
    new_id = Ids(clock.now)
    return Sandboxes(
        runtime, new_id=new_id, clock=clock, limits=Limits(), idle=IDLE, wakes=2, report=unread, boxes=listening
    )


async def test_a_sandbox_is_listened_for_before_it_wakes_and_until_it_sleeps(
    with_boxes: Sandboxes, runtime: MemoryRuntime, listening: Listening
) -> None:
    await with_boxes.awake(work(), 7)
    (spec,) = runtime.woken
    assert spec.box
    assert list(listening.open) == [spec.id]
    await with_boxes.rest("run_1")
    assert listening.open == {}


async def test_each_step_says_again_who_speaks_so_that_a_new_gateway_and_a_new_epoch_are_told(
    with_boxes: Sandboxes, listening: Listening
) -> None:
    await with_boxes.awake(work(), 7)
    listening.open.clear()
    await with_boxes.awake(replace(work(), epoch=2), 7)
    assert [one.epoch for one in listening.open.values()] == [2]
    assert len(listening.holders) == 1


async def test_a_gateway_that_is_away_keeps_a_sandbox_from_waking_but_not_from_working(
    with_boxes: Sandboxes, runtime: MemoryRuntime, listening: Listening
) -> None:
    await with_boxes.awake(work("run_1"), 7)
    listening.away = True
    await with_boxes.awake(work("run_1"), 7)
    with pytest.raises(Unavailable):
        await with_boxes.awake(work("run_2"), 7)
    assert len(runtime.woken) == 1


async def test_a_box_that_could_not_be_closed_is_closed_later(with_boxes: Sandboxes, listening: Listening) -> None:
    await with_boxes.awake(work(), 7)
    listening.away = True
    await with_boxes.rest("run_1")
    assert len(listening.open) == 1
    listening.away = False
    await with_boxes.sweep()
    assert listening.open == {}


async def test_a_sandbox_that_could_not_be_woken_is_not_listened_for(
    with_boxes: Sandboxes, runtime: MemoryRuntime, listening: Listening
) -> None:
    runtime.refuse = Unavailable("No.")
    with pytest.raises(Unavailable):
        await with_boxes.awake(work(), 7)
    await with_boxes.sweep()
    assert listening.open == {}


async def test_a_runtime_that_can_give_no_way_wakes_without_one(
    runtime: MemoryRuntime, clock: FakeClock, listening: Listening
) -> None:
    runtime.boxes = False
    sandboxes = Sandboxes(
        runtime,
        new_id=Ids(clock.now),
        clock=clock,
        limits=Limits(),
        idle=IDLE,
        wakes=2,
        report=unread,
        boxes=listening,
    )
    await sandboxes.awake(work(), 7)
    assert not runtime.woken[0].box
    assert listening.said == []
