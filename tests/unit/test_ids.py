"""Ids sort in the order they were made, whatever the clock does."""

from datetime import timedelta

from freehold.core.ids import Ids
from freehold.testing.clock import START, FakeClock


def test_ids_of_one_moment_sort_in_the_order_they_were_made() -> None:
    new_id = Ids(lambda: START)
    made = [new_id("run") for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_go_on_when_the_clock_goes_back() -> None:
    clock = FakeClock()
    new_id = Ids(clock.now)
    first = new_id("run")
    clock.wind(-timedelta(hours=1).total_seconds())
    assert new_id("run") > first


def test_an_id_is_a_uuid_of_version_seven() -> None:
    prefix, _, digits = Ids(lambda: START)("ten").partition("_")
    assert prefix == "ten"
    assert len(digits) == 32
    assert digits[12] == "7"
    assert digits[16] in "89ab"
    assert int(digits[:12], 16) == START.timestamp() * 1000


def test_a_clock_that_is_set_back_between_two_starts_does_not_turn_the_order_round() -> None:
    clock = FakeClock()
    before = [Ids(clock.now)("run") for _ in range(3)]
    clock.wind(-3600)
    after = Ids(clock.now, after=max(before))
    later = [after("run") for _ in range(5000)]
    assert sorted(before + later) == sorted(before) + later
    clock.wind(7200)
    assert after("run") > later[-1]
