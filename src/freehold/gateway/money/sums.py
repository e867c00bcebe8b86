"""What the meter's rows say was spent: by everyone a limit can be about, for the books to begin from."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, func, select

from freehold.core.money import BudgetScope, Period, begins, ends, window
from freehold.gateway.tables import usage

_WHO: Final = (usage.c.agent, usage.c.model_key, usage.c.level, (usage.c.run != "").label("runs"), usage.c.attended)
_SUMS: Final = (
    select(*_WHO, func.sum(usage.c.charge_nano).label("nano"))
    .where(
        usage.c.tenant == bindparam("of_tenant"),
        usage.c.opened_at >= bindparam("since"),
        usage.c.opened_at < bindparam("until"),
    )
    .group_by(*_WHO)
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


def spent(tx: Tx, *, tenant: str, period: Period, at: datetime) -> Spent:
    """Return what was charged in the window of `period` that `at` lies in."""
    since = begins(period, at)
    until = ends(period, at) or at + timedelta(days=1)
    found: Spent = {}
    named = window(period, at)
    for row in tx.execute(_SUMS, {"of_tenant": tenant, "since": since, "until": until}):
        unattended = bool(row.runs) and not row.attended
        for scope, subject in subjects(agent=row.agent, key=row.model_key, level=row.level, unattended=unattended):
            key = (scope, subject, period, named)
            found[key] = found.get(key, 0) + int(row.nano)
    return found


def of_run(tx: Tx, *, tenant: str, run: str, before: str) -> int:
    """Return what calls of `run` with an id that sorts before `before` were charged."""
    return int(tx.execute(_RUN, {"of_tenant": tenant, "of_run": run, "before": before}).scalar_one())
