"""The tiers that ship, what an operator may make of them, and what a day is."""

import math
import tomllib
from datetime import UTC, datetime
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.catalog.tiers import TRIAL, shipped, trial
from freehold.core.quotas import Quota
from freehold.tenants.quotas import QUOTAS, today
from freehold.tenants.tiers import tier_of

LATE = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)


def test_every_tier_says_how_much_of_each_thing_there_is_and_nothing_else() -> None:
    tables = tomllib.loads(files("freehold.catalog").joinpath("tiers.toml").read_text())
    for name, limits in tables.items():
        if name != TRIAL:
            assert set(limits) == set(Quota), name


def test_the_tiers_grow_from_starter_to_sovereign() -> None:
    names = ["starter", "team", "business", "sovereign"]
    for quota in Quota:
        limits = [shipped()[name].limits[quota] for name in names]
        assert limits == sorted(limits), quota
    assert [shipped()[name].limits[Quota.STACKS] for name in names] == [2, 10, 25, math.inf]


@pytest.mark.parametrize("name", ["pro", "pro-team"])
def test_personal_tiers_have_five_agents_apps_and_executors(name: str) -> None:
    limits = shipped()[name].limits
    assert [limits[quota] for quota in (Quota.AGENTS, Quota.APPS, Quota.EXECUTORS)] == [5, 5, 5]


def test_a_trial_is_of_a_tier_there_is_and_lasts_a_fortnight() -> None:
    assert trial().days == 14
    assert trial().tier in shipped()
    assert trial().limits[Quota.MESSAGES_PER_DAY] == 500


def test_every_quota_is_counted_by_somebody() -> None:
    assert set(QUOTAS) == set(Quota)


@given(st.dictionaries(st.sampled_from([str(quota) for quota in Quota]), st.integers(0, 100)))
def test_what_an_operator_changed_counts_and_the_rest_stays(changed: dict[str, float]) -> None:
    tier = tier_of("team", changed)
    assert tier is not None
    assert set(tier.limits) == set(Quota)
    for quota, limit in tier.limits.items():
        assert limit == changed.get(quota, shipped()["team"].limits[quota])


def test_a_tier_of_ones_own_has_no_limit_where_none_is_said() -> None:
    tier = tier_of("tiny", {"agents": 1.0})
    assert tier is not None
    assert (tier.limits[Quota.AGENTS], tier.limits[Quota.MEMBERS]) == (1, math.inf)
    assert tier_of("nobody-made-this", None) is None


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", "2026-03-31"), ("Europe/Berlin", "2026-04-01"), ("Nowhere/Land", "2026-03-31")]
)
def test_a_day_is_a_day_where_the_tenant_is(zone: str, day: str) -> None:
    assert today(zone, LATE) == day
