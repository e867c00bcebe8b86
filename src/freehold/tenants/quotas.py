"""
Quotas: whether a tenant may have one more, asked in the transaction of the act itself.

Whoever asks holds the tenant's place until that transaction ends, so of two that want the last one, one gets it.
Nothing is ever taken away: a tenant that has more than its tier allows keeps it, and gets nothing new.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, Table, bindparam, func, select

from freehold.catalog.tiers import trial
from freehold.core.errors import Denied, NotFound
from freehold.core.quotas import Quota, exceeded
from freehold.core.tenants import TierSource
from freehold.store.agents import agent_table
from freehold.store.people import member_table
from freehold.store.quotas import place, places, stated, tallied, tally
from freehold.store.runs import AT_WORK, run_table
from freehold.store.talk import channel_table
from freehold.tenants.tiers import tier_of

MB: Final = 1 << 20
ALWAYS: Final = ""
"""The day of what is not counted by the day."""
_NOTHING: Final[Mapping[Quota, float]] = MappingProxyType(dict.fromkeys(Quota, 0.0))

Counter = Callable[[Connection, str, str], float]
"""Returns how much of a quota the tenant with this id uses, on this day of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a tenant may have at one moment."""

    tier: str
    until: datetime | None
    ended: bool
    """Whether what was paid for, or tried, is over: nothing new then, and all is kept."""
    limits: Mapping[Quota, float]
    day: str
    """Today, where the tenant is."""

    def require(self) -> None:
        """Return if the tenant may have anything new; raise `Denied` (`tier_ended`) where its time is over."""
        if self.ended and self.until is not None:
            raise Denied(
                f"The tier {self.tier} ended on {self.until:%Y-%m-%d}.",
                code="tier_ended",
                remedy="All is kept and can be read. Ask the operator to extend the tier or to give another one.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a tenant stands with one quota."""

    quota: Quota
    limit: float
    used: float

    @property
    def over(self) -> bool:
        """Return whether the tenant has more than it may, which happens when a limit is lowered."""
        return self.used > self.limit


def standing(connection: Connection, tenant: str, *, at: datetime, taken: bool = False) -> Standing:
    """
    Return what the tenant with this id may have at this moment; raise `NotFound` where it is gone.

    `taken`: others who ask so wait until this transaction ends. A tier that nobody knows allows nothing.
    """
    found: Any = place(connection, tenant, taken=taken)
    if found is None:
        raise NotFound("There is no such tenant.")
    return _standing(found, at)


def spending(connection: Connection, *, at: datetime, tenant: str | None = None) -> dict[str, float]:
    """Return how many dollars a month each tenant may spend, or one; nothing where what it paid for is over."""
    found: Any = places(connection) if tenant is None else filter(None, [place(connection, tenant, taken=False)])
    standings = ((row.id, _standing(row, at)) for row in found)
    return {one: 0.0 if now.ended else now.limits[Quota.SPEND_USD] for one, now in standings}


def admit(connection: Connection, tenant: str, quota: Quota, *, at: datetime) -> None:
    """
    Return if the tenant may have one more of `quota`; what it then writes commits together with this look.

    Raises `Denied`: `quota_exceeded` with quota, limit and used beside, or `tier_ended`.
    """
    now = standing(connection, tenant, at=at, taken=True)
    now.require()
    limit = now.limits[quota]
    if limit == math.inf:
        return
    used = QUOTAS[quota](connection, tenant, now.day)
    if used + 1 > limit:
        raise exceeded(quota, limit=limit, used=used)


def admit_message(connection: Connection, tenant: str, *, at: datetime, size: int = 0) -> None:
    """
    Count one more message of today, with files of `size` bytes in all; raise `Denied` as `admit` does.

    Counted it is whatever the tier says, so that a limit that is set at noon knows of the morning.
    """
    now = standing(connection, tenant, at=at, taken=True)
    now.require()
    said = tally(connection, tenant, Quota.MESSAGES_PER_DAY, day=now.day, more=1)
    if said > now.limits[Quota.MESSAGES_PER_DAY]:
        raise exceeded(Quota.MESSAGES_PER_DAY, limit=now.limits[Quota.MESSAGES_PER_DAY], used=said - 1)
    if size:
        _fits(now, tally(connection, tenant, Quota.STORAGE_MB, day=ALWAYS, more=size), size)


def foresee_files(connection: Connection, tenant: str, *, at: datetime, size: int) -> None:
    """Raise what `admit_message` would for files of `size` bytes, before they are kept; nothing is counted."""
    now = standing(connection, tenant, at=at)
    now.require()
    _fits(now, tallied(connection, tenant, Quota.STORAGE_MB, day=ALWAYS) + size, size)


def report(connection: Connection, tenant: str, *, at: datetime) -> list[Use]:
    """Return how the tenant stands with every quota."""
    now = standing(connection, tenant, at=at)
    return [
        Use(quota=quota, limit=now.limits[quota], used=count(connection, tenant, now.day))
        for quota, count in QUOTAS.items()
    ]


def today(time_zone: str, at: datetime) -> str:
    """Return the day it is in a time zone, as `2026-11-21`."""
    return at.astimezone(_zone(time_zone)).date().isoformat()


def _standing(found: Any, at: datetime) -> Standing:
    tier = tier_of(found.tier, None if found.limits is None else stated(found.limits))
    limits = _NOTHING if tier is None else tier.limits
    if found.tier_source is TierSource.TRIAL:
        limits = {quota: min(limit, trial().limits.get(quota, math.inf)) for quota, limit in limits.items()}
    return Standing(
        tier=found.tier,
        until=found.tier_until,
        ended=found.tier_until is not None and found.tier_until <= at,
        limits=limits,
        day=today(found.time_zone, at),
    )


def _zone(name: str) -> tzinfo:
    """Return a time zone; UTC where this machine does not know it: nobody is turned away for want of a zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _fits(now: Standing, total: int, size: int) -> None:
    limit = now.limits[Quota.STORAGE_MB]
    if total > limit * MB:
        raise exceeded(Quota.STORAGE_MB, limit=limit, used=round((total - size) / MB, 3))


def _rows(table: Table, *where: Any) -> Counter:
    """Return the counter of rows of a table that are the tenant's."""
    query = select(func.count()).select_from(table).where(table.c.tenant == bindparam("of_tenant"), *where)

    def count(connection: Connection, tenant: str, _day: str) -> float:
        return float(connection.execute(query, {"of_tenant": tenant}).scalar_one())

    return count


def _messages(connection: Connection, tenant: str, day: str) -> float:
    return tallied(connection, tenant, Quota.MESSAGES_PER_DAY, day=day)


def _storage(connection: Connection, tenant: str, _day: str) -> float:
    return round(tallied(connection, tenant, Quota.STORAGE_MB, day=ALWAYS) / MB, 3)


def _none(_connection: Connection, _tenant: str, _day: str) -> float:
    return 0.0


QUOTAS: Final[Mapping[Quota, Counter]] = MappingProxyType(
    {
        Quota.AGENTS: _rows(agent_table),
        Quota.STACKS: _none,  # there are none yet
        Quota.MEMBERS: _rows(member_table),
        Quota.CHANNELS: _rows(channel_table),
        Quota.APPS: _none,  # there are none yet
        Quota.EXECUTORS: _rows(run_table, AT_WORK),
        Quota.MESSAGES_PER_DAY: _messages,
        Quota.STORAGE_MB: _storage,
        Quota.MEMORY_MB: _none,  # holds for each sandbox by itself, so nothing adds up
        Quota.CPU: _none,  # as memory
        Quota.SPEND_USD: _none,  # what was spent stands in the gateway's store: whoever shows it asks there
    }
)
"""How much of each quota is used; whatever becomes a noun of its own registers here."""
