"""The numbers of a run: every moment of it is counted once, wherever it stood."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.runs import Run, RunState, Trigger
from freehold.runs.measuring import STANDS, measured, spread
from freehold.store.figures import Move, Worked
from freehold.testing.clock import START


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def run(ended: float | None = None) -> Run:
    ended_at = None if ended is None else at(ended)
    found = Run(id="run_1", agent="agt_1", version="ver_1", trigger=Trigger.API, created_at=START)
    return replace(found, ended_at=ended_at, segment=2)


def move(seconds: float, what: str, state: str = "") -> Move:
    return Move(at=at(seconds), type=f"run.{what}", state=state)


def test_waiting_queueing_and_working_are_told_apart() -> None:
    moves = [
        move(0, "queued"), move(1, "started"), move(3, "waiting"), move(63, "resumed"), move(64, "started"),
        move(65, "paused"), move(75, "unpaused", "queued"), move(76, "started"), move(77, "restarted"), move(80, "done"),
    ]  # fmt: skip
    steps = [Worked(kind="model", steps=2, ms=1500), Worked(kind="tool", steps=1, ms=400)]
    found = measured(run(80), moves, steps, now=at(1000))
    assert (found.duration_ms, found.queued_ms, found.running_ms) == (80_000, 3_000, 7_000)
    assert (found.waiting_ms, found.paused_ms) == (60_000, 10_000)
    assert (found.model_ms, found.tool_ms, found.steps, found.segments, found.restarts) == (1500, 400, 3, 2, 1)


def test_a_pause_within_a_wait_ends_in_the_wait() -> None:
    moves = [move(0, "started"), move(1, "waiting"), move(2, "paused"), move(5, "unpaused", "waiting")]
    found = measured(run(), moves, [], now=at(9))
    assert (found.running_ms, found.paused_ms, found.waiting_ms) == (1000, 3000, 5000)


def test_a_run_that_is_not_over_is_measured_up_to_now() -> None:
    found = measured(run(), [move(0, "queued")], [], now=at(7))
    assert (found.duration_ms, found.queued_ms) == (7000, 7000)


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from(sorted(STANDS))), max_size=12))
def test_no_moment_is_counted_twice_or_lost(moves: list[tuple[int, str]]) -> None:
    seconds, told = 0, list[Move]()
    for pause, what in moves:
        seconds += pause
        told.append(Move(at=at(seconds), type=what, state=""))
    told = [one for n, one in enumerate(told) if not any(before.type in OVER for before in told[:n])]
    ended = told and told[-1].type in OVER
    end = (told[-1].at - START).total_seconds() if ended else seconds + 5
    found = measured(run(end if ended else None), told, [], now=at(end))
    assert found.duration_ms == found.queued_ms + found.running_ms + found.waiting_ms + found.paused_ms


OVER = {f"run.{state}" for state in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)}


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_a_spread_tells_numbers_that_are_there(numbers: list[int]) -> None:
    found = spread(numbers)
    assert {found.p50, found.p95} <= set(numbers)
    assert sum(number <= found.p50 for number in numbers) * 2 >= len(numbers)
    assert sum(number <= found.p95 for number in numbers) * 20 >= len(numbers) * 19
    assert found.sum == sum(numbers)


def test_nothing_is_spread_over_nothing() -> None:
    found = spread([])
    assert (found.sum, found.p50, found.p95) == (0, 0, 0)
