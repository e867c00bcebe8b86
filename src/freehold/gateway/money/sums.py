"""What the meter's rows say was spent: by everyone a limit can be about, for the books to begin from."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection as Tx
from sqlalchemy import and_, bindparam, func, select

from freehold.core.money import BudgetScope, Period, begins, ends, window
from freehold.gateway.money_tables import usage

_WHO: Final = (usage.c.agent, usage.c.model_key, usage.c.level, (usage.c.run != "").label("runs"), usage.c.attended)
_TODAY: Final = and_(usage.c.opened_at >= bindparam("dawn"), usage.c.opened_at < bindparam("night")).label("today")
_SUMS: Final = (
    select(*_WHO, _TODAY, func.sum(usage.c.charge_nano).label("nano"))
    .where(
        usage.c.tenant == bindparam("of_tenant"),
        usage.c.opened_at >= bindparam("since"),
        usage.c.opened_at < bindparam("until"),
    )
    .group_by(*_WHO, _TODAY)
    .having(func.sum(usage.c.charge_nano) > 0)
)
_RUN: Final = select(func.coalesce(func.sum(usage.c.charge_nano), 0)).where(
    usage.c.tenant == bindparam("of_tenant"), usage.c.run == bindparam("of_run"), usage.c.id < bindparam("before")
)
Spent = dict[tuple[BudgetScope, str, Period, str], int]


def subjects(*, agent: str, key: str, level: str, unattended: bool) -> Iterator[tuple[BudgetScope, str]]:
    """Return everyone a call is counted for by the calendar."""
    yield BudgetScope.TENANT, ""
    if agent:
        yield BudgetScope.AGENT, agent
    if key:
        yield BudgetScope.KEY, key
    if level:
        yield BudgetScope.LEVEL, level
    if unattended:
        yield BudgetScope.UNATTENDED, ""


def spent(tx: Tx, *, tenant: str, periods: Sequence[Period], at: datetime) -> dict[Period, Spent]:
    """Return what was charged in the day, the month or both that `at` lies in; the rows are read once."""
    if not periods:
        return {}
    bounds = {
        "since": min(begins(period, at) or at for period in periods),
        "until": max(ends(period, at) or at for period in periods),
        "dawn": begins(Period.DAY, at),
        "night": ends(Period.DAY, at),
    }
    found: dict[Period, Spent] = {period: {} for period in periods}
    for row in tx.execute(_SUMS, {"of_tenant": tenant} | bounds):
        unattended = bool(row.runs) and not row.attended
        for period in periods:
            if period is Period.DAY and not row.today:
                continue
            of_period, named = found[period], window(period, at)
            for scope, subject in subjects(agent=row.agent, key=row.model_key, level=row.level, unattended=unattended):
                key = (scope, subject, period, named)
                of_period[key] = of_period.get(key, 0) + int(row.nano)
    return found


def of_run(tx: Tx, *, tenant: str, run: str, before: str) -> int:
    """Return what calls of `run` with an id that sorts before `before` were charged."""
    return int(tx.execute(_RUN, {"of_tenant": tenant, "of_run": run, "before": before}).scalar_one())
