"""One sandbox per run, awake only while somebody needs it, and every second of it accounted for."""

import asyncio
from collections.abc import Sequence
from typing import Any, final

import pytest
from typing_extensions import override

from freehold.core.errors import Unavailable
from freehold.core.ids import Ids
from freehold.gateway.client import Work
from freehold.sandboxes.runtime import Ended, Limits
from freehold.sandboxes.waking import Sandboxes
from freehold.testing.clock import FakeClock
from freehold.testing.runtime import MemoryRuntime, QuietGuest

IDLE = 60.0


@final
class Books:
    """Takes down what was used; may be away."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.away = False

    async def __call__(self, work: Work, **row: Any) -> None:
        if self.away:
            raise Unavailable("The gateway is away.")
        self.rows.append({"run": work.run, **row})


@final
class SlowGuest(QuietGuest):
    """Answers a command when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    @override
    async def run(self, argv: Sequence[str], **more: Any) -> Ended:
        await self.go.wait()
        return await super().run(argv, **more)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def runtime() -> MemoryRuntime:
    return MemoryRuntime()


@pytest.fixture
def sandboxes(runtime: MemoryRuntime, clock: FakeClock, books: Books) -> Sandboxes:
    limits = Limits(memory_mb=256)
    return Sandboxes(runtime, new_id=Ids(clock.now), clock=clock, limits=limits, idle=IDLE, wakes=2, report=books)


def work(run: str = "run_1", *, agent: str = "agt_1") -> Work:
    return Work(tenant="ten_1", agent=agent, version="ver_1", run=run, epoch=1)


async def test_a_run_has_one_sandbox_however_often_it_asks(sandboxes: Sandboxes, runtime: MemoryRuntime) -> None:
    guests = await asyncio.gather(*(sandboxes.awake(work(), 1) for _ in range(5)))
    assert len({id(guest) for guest in guests}) == 1
    assert len(runtime.woken) == 1


async def test_two_runs_of_an_agent_have_two_sandboxes_and_one_workspace(
    sandboxes: Sandboxes, runtime: MemoryRuntime
) -> None:
    await sandboxes.awake(work("run_1"), 7)
    await sandboxes.awake(work("run_2"), 7)
    assert [(spec.workspace, spec.uid, spec.tenant) for spec in runtime.woken] == [("agt_1", 7, "ten_1")] * 2
    assert len(await runtime.look()) == 2


async def test_a_segment_that_ends_puts_its_sandbox_to_sleep(sandboxes: Sandboxes, runtime: MemoryRuntime) -> None:
    await sandboxes.awake(work(), 1)
    await sandboxes.rest("run_1")
    await sandboxes.rest("run_1")
    await sandboxes.rest("run_never")
    assert await runtime.look() == []


async def test_what_was_used_is_taken_down(sandboxes: Sandboxes, clock: FakeClock, books: Books) -> None:
    await sandboxes.awake(work(), 1)
    clock.wind(2.5)
    await sandboxes.rest("run_1")
    woke, slept = books.rows
    assert (woke["run"], woke["wakes"], woke["awake_ms"], woke["memory_mb"]) == ("run_1", 1, 0, 256)
    assert (slept["wakes"], slept["awake_ms"], slept["memory_mb"]) == (0, 2500, 256)
    assert woke["sandbox"] == slept["sandbox"]


async def test_what_could_not_be_taken_down_is_offered_again(
    sandboxes: Sandboxes, clock: FakeClock, books: Books
) -> None:
    books.away = True
    await sandboxes.awake(work(), 1)
    clock.wind(1)
    await sandboxes.rest("run_1")
    await sandboxes.sweep()
    assert books.rows == []
    books.away = False
    await sandboxes.sweep()
    await sandboxes.sweep()
    assert [row["awake_ms"] for row in books.rows] == [0, 1000]


async def test_a_sandbox_nobody_uses_goes_to_sleep(
    sandboxes: Sandboxes, runtime: MemoryRuntime, clock: FakeClock
) -> None:
    guest = await sandboxes.awake(work(), 1)
    clock.wind(IDLE - 1)
    await sandboxes.sweep()
    await guest.run(["true"])
    clock.wind(IDLE - 1)
    await sandboxes.sweep()
    assert len(await runtime.look()) == 1
    clock.wind(1)
    await sandboxes.sweep()
    assert await runtime.look() == []
    await sandboxes.awake(work(), 1)
    assert len(await runtime.look()) == 1


async def test_a_sandbox_at_work_does_not_go_to_sleep(
    sandboxes: Sandboxes, runtime: MemoryRuntime, clock: FakeClock
) -> None:
    runtime.next_guest = slow = SlowGuest()
    guest = await sandboxes.awake(work(), 1)
    running = asyncio.create_task(guest.run(["make"]))
    await asyncio.sleep(0)
    clock.wind(IDLE * 10)
    await sandboxes.sweep()
    assert len(await runtime.look()) == 1
    slow.go.set()
    await running
    clock.wind(IDLE)
    await sandboxes.sweep()
    assert await runtime.look() == []


async def test_an_open_stream_keeps_its_sandbox_awake(
    sandboxes: Sandboxes, runtime: MemoryRuntime, clock: FakeClock
) -> None:
    stream = await (await sandboxes.awake(work(), 1)).stream(["cat"])
    clock.wind(IDLE * 10)
    await sandboxes.sweep()
    assert len(await runtime.look()) == 1
    await stream.close()
    await stream.close()
    clock.wind(IDLE)
    await sandboxes.sweep()
    assert await runtime.look() == []


async def test_after_a_sandbox_died_the_next_step_gets_another(sandboxes: Sandboxes, runtime: MemoryRuntime) -> None:
    guest = await sandboxes.awake(work(), 1)
    runtime.kill_all()
    with pytest.raises(Unavailable):
        await guest.run(["true"])
    again = await sandboxes.awake(work(), 1)
    assert (await again.run(["true"])).exit == 0
    assert len(runtime.woken) == 2


async def test_only_so_many_wake_at_once(sandboxes: Sandboxes, runtime: MemoryRuntime) -> None:
    runtime.hold_wakes()
    waking = [asyncio.create_task(sandboxes.awake(work(f"run_{number}"), 1)) for number in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(runtime.woken) == 2
    runtime.let_wake()
    await asyncio.gather(*waking)
    assert len(runtime.woken) == 5


async def test_a_wake_that_fails_leaves_nothing_and_can_be_tried_again(
    sandboxes: Sandboxes, runtime: MemoryRuntime, books: Books
) -> None:
    runtime.refuse = Unavailable("No sandboxes today.")
    with pytest.raises(Unavailable):
        await sandboxes.awake(work(), 1)
    assert books.rows == []
    runtime.refuse = None
    await sandboxes.awake(work(), 1)
    assert len(books.rows) == 1


async def test_closing_puts_all_to_sleep(sandboxes: Sandboxes, runtime: MemoryRuntime, books: Books) -> None:
    for number in range(3):
        await sandboxes.awake(work(f"run_{number}"), 1)
    await sandboxes.close()
    assert await runtime.look() == []
    assert sum(row["wakes"] for row in books.rows) == 3
    assert len(books.rows) == 6


async def test_who_asks_while_the_sandbox_goes_to_sleep_gets_one_that_is_kept(
    sandboxes: Sandboxes, runtime: MemoryRuntime
) -> None:
    await sandboxes.awake(work(), 1)
    runtime.hold_sleeps()
    resting = asyncio.create_task(sandboxes.rest("run_1"))
    await asyncio.sleep(0)
    asking = asyncio.create_task(sandboxes.awake(work(), 1))
    await asyncio.sleep(0)
    runtime.let_sleep()
    await resting
    assert (await (await asking).run(["true"])).exit == 0
    await sandboxes.rest("run_1")
    assert await runtime.look() == []


async def test_a_sandbox_that_does_not_go_to_sleep_is_tried_again(
    sandboxes: Sandboxes, runtime: MemoryRuntime, books: Books
) -> None:
    await sandboxes.awake(work(), 1)
    runtime.stuck = Unavailable("It does not end.", code="sandbox_stuck")
    with pytest.raises(Unavailable):
        await sandboxes.rest("run_1")
    await sandboxes.sweep()
    assert len(await runtime.look()) == 1
    runtime.stuck = None
    await sandboxes.sweep()
    assert await runtime.look() == []
    assert len(books.rows) == 2, "a wake and a sleep, each once"


async def test_whoever_gives_up_while_the_wake_is_taken_down_leaves_no_sandbox_behind(
    runtime: MemoryRuntime, clock: FakeClock
) -> None:
    async def never(work: Work, **_row: Any) -> None:
        await asyncio.Event().wait()

    limits = Limits(memory_mb=256)
    sandboxes = Sandboxes(runtime, new_id=Ids(clock.now), clock=clock, limits=limits, idle=IDLE, wakes=2, report=never)
    asking = asyncio.create_task(sandboxes.awake(work(), 1))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(await runtime.look()) == 1
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    resting = asyncio.create_task(sandboxes.rest("run_1"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert await runtime.look() == []
    resting.cancel()


async def test_sweeping_goes_on_whatever_breaks(
    sandboxes: Sandboxes, runtime: MemoryRuntime, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sandboxes.awake(work(), 1)
    runtime.stuck = Unavailable("It does not end.", code="sandbox_stuck")
    clock.wind(IDLE)
    await sandboxes.sweep()
    runtime.stuck = None
    swept = asyncio.Event()

    async def break_once() -> None:
        monkeypatch.setattr(sandboxes, "sweep", again)
        raise ZeroDivisionError

    async def again() -> None:
        swept.set()

    monkeypatch.setattr(sandboxes, "sweep", break_once)
    keeping = asyncio.create_task(sandboxes.keep())
    async with asyncio.timeout(5):
        await swept.wait()
    keeping.cancel()


async def test_a_clock_that_is_set_back_makes_no_negative_usage(
    sandboxes: Sandboxes, clock: FakeClock, books: Books
) -> None:
    await sandboxes.awake(work(), 1)
    clock.wind(-3600)
    await sandboxes.rest("run_1")
    assert books.rows[-1]["awake_ms"] == 0
