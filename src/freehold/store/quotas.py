"""What an operator made of the tiers, and what is counted for each tenant because nothing else would tell."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Row, Text, bindparam, case, func, literal, select, update

from freehold.core.errors import NotFound
from freehold.core.quotas import Quota
from freehold.core.tenants import TenantState, TierSource
from freehold.store.schema import one_of, table, tenant_column
from freehold.store.tenants import tenant_table
from freehold.store.types import Coded, Json, Moment

tier_table = table(
    "tiers",
    Column("name", Text, primary_key=True),
    Column("limits", Json, nullable=False),  # quota: number, or null where there is no limit
    Column("changed_at", Moment, nullable=False),
    tenant="platform",
    data_class="configuration",
    retention="forever",
)

tally_table = table(
    "tallies",
    tenant_column(primary_key=True),
    Column("quota", Coded(Quota), primary_key=True),
    Column("day", Text, nullable=False),  # which day it is about; empty: all of them
    Column("used", BigInteger, nullable=False),
    one_of("quota", Quota),
    tenant="tenant",
    data_class="operation",
    retention="tenant",
)

# Spelt once: putting a statement together costs more than running it, and every message passes here.
_PLACES: Final = select(
    tenant_table.c.id,
    tenant_table.c.tier,
    tenant_table.c.tier_until,
    tenant_table.c.tier_source,
    tenant_table.c.time_zone,
    tier_table.c.limits,
).select_from(tenant_table.outerjoin(tier_table, tier_table.c.name == tenant_table.c.tier))
_PLACE: Final = _PLACES.where(tenant_table.c.id == bindparam("of_tenant"))
_KEPT_PLACES: Final = _PLACES.where(tenant_table.c.state != TenantState.DELETED)
_PLACE_TAKEN: Final = _PLACE.with_for_update(of=tenant_table)
_OURS: Final = (tally_table.c.tenant == bindparam("of_tenant"), tally_table.c.quota == bindparam("of_quota"))
_RAISE: Final = (
    update(tally_table)
    .where(*_OURS)
    .values(
        used=case((tally_table.c.day == bindparam("of_day"), tally_table.c.used), else_=literal(0)) + bindparam("more"),
        day=bindparam("of_day"),
    )
    .returning(tally_table.c.used)
)
_BEGIN: Final = tally_table.insert()
_USED: Final = select(func.coalesce(func.sum(tally_table.c.used), 0)).where(
    *_OURS, tally_table.c.day == bindparam("of_day")
)


class Tiers:
    """The tiers as an operator changed or added them; those that ship are not among them."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def all(self) -> dict[str, dict[str, float]]:
        """Return the limits of each, by its name."""
        rows = self._connection.execute(select(tier_table.c.name, tier_table.c.limits).order_by(tier_table.c.name))
        return {row.name: stated(row.limits) for row in rows}

    def put(self, name: str, limits: Mapping[Quota, float], *, at: datetime) -> None:
        """Write down the limits of one, in the place of those it had."""
        kept = {str(quota): None if math.isinf(limit) else limit for quota, limit in limits.items()}
        row = {"limits": kept, "changed_at": at}
        if self._connection.execute(update(tier_table).where(tier_table.c.name == name).values(row)).rowcount == 0:
            self._connection.execute(tier_table.insert().values(row | {"name": name}))

    def remove(self, name: str) -> None:
        """Forget one; one that is not there is forgotten."""
        self._connection.execute(tier_table.delete().where(tier_table.c.name == name))

    def users(self, name: str) -> int:
        """Return how many tenants have the tier of this name."""
        query = select(func.count()).select_from(tenant_table).where(tenant_table.c.tier == name)
        return self._connection.execute(query).scalar_one()

    def give(self, tenant: str, tier: str, *, until: datetime | None, source: TierSource) -> None:
        """Let the tenant have the tier."""
        row = {"tier": tier, "tier_until": until, "tier_source": source}
        if self._connection.execute(update(tenant_table).where(tenant_table.c.id == tenant).values(row)).rowcount != 1:
            raise NotFound("There is no such tenant.")


def place(connection: Connection, tenant: str, *, taken: bool) -> Row[*tuple[object, ...]] | None:
    """
    Return id, tier, until when, source, time zone and changed limits of a tenant, in one look; None where it is gone.

    `taken`: whoever else looks so waits until this transaction ends, so that two cannot both have the last place.
    """
    return connection.execute(_PLACE_TAKEN if taken else _PLACE, {"of_tenant": tenant}).first()


def places(connection: Connection) -> Iterable[Row[*tuple[object, ...]]]:
    """Return the same of all tenants that are not deleted."""
    return connection.execute(_KEPT_PLACES)


def tally(connection: Connection, tenant: str, quota: Quota, *, day: str, more: int) -> int:
    """Count `more` of `quota` on `day` and return how many that makes; what another day counted is over."""
    which = {"of_tenant": tenant, "of_quota": quota, "of_day": day, "more": more}
    used = connection.execute(_RAISE, which).scalar()
    if used is None:
        connection.execute(_BEGIN, {"tenant": tenant, "quota": quota, "day": day, "used": more})
        return more
    return int(used)


def tallied(connection: Connection, tenant: str, quota: Quota, *, day: str) -> int:
    """Return how many of `quota` were counted on `day`."""
    which = {"of_tenant": tenant, "of_quota": quota, "of_day": day}
    return int(connection.execute(_USED, which).scalar_one())


def stated(kept: Mapping[str, float | None]) -> dict[str, float]:
    """Return limits as they are kept, in numbers: where there is none, infinity."""
    return {name: math.inf if limit is None else float(limit) for name, limit in kept.items()}
