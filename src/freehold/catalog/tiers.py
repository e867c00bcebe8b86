"""The tiers that ship, and the terms of a trial, read from `tiers.toml` beside this file."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from freehold.core.quotas import Quota, Tier

UNLIMITED: Final[Mapping[Quota, float]] = MappingProxyType(dict.fromkeys(Quota, math.inf))
TRIAL: Final = "trial"
"""The one table that is no tier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What somebody may try before they pay."""

    tier: str
    days: int
    limits: Mapping[Quota, float]
    """What they get at most meanwhile, where that is less than their tier."""


@cache
def shipped() -> Mapping[str, Tier]:
    """Return the tiers that ship, by name; each has a limit for every quota."""
    tables = {name: limits for name, limits in _tables().items() if name != TRIAL}
    return MappingProxyType({name: Tier(name=name, limits=_whole(name, limits)) for name, limits in tables.items()})


@cache
def trial() -> Trial:
    """Return the terms of a trial."""
    terms = _tables()[TRIAL]
    return Trial(tier=terms["tier"], days=terms["days"], limits=MappingProxyType(_limits(terms["limits"])))


def _tables() -> dict[str, Any]:
    return tomllib.loads(files("freehold.catalog").joinpath("tiers.toml").read_text("utf-8"))


def _whole(name: str, stated: Mapping[str, float]) -> Mapping[Quota, float]:
    limits = _limits(stated)
    if missing := sorted(set(Quota) - limits.keys()):
        raise LookupError(f"The tier {name} says nothing about {', '.join(missing)}.")
    return MappingProxyType(limits)


def _limits(stated: Mapping[str, float]) -> dict[Quota, float]:
    return {Quota(quota): float(limit) for quota, limit in stated.items()}
