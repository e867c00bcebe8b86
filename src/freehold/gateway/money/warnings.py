"""Marks of a limit that people are told about when they are passed: half, four fifths, all; once in a window each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, delete, insert, select

from freehold.core.money import BudgetScope, Period
from freehold.gateway.keeping import Keep
from freehold.gateway.money.counters import Tally
from freehold.gateway.money_tables import budget_warnings

MARKS: Final = (50, 80, 100)
NEARLY: Final = 90
"""Percent from which a refusal means that a limit is reached; before, the call was just too large."""
KEPT: Final = timedelta(days=32)
"""Longer than any month: what was told in a window is not told in it again."""
MAX_AFTER: Final = 500
_KNOWN: Final = select(budget_warnings.c.id).where(
    budget_warnings.c.tenant == bindparam("of_tenant"),
    budget_warnings.c.scope == bindparam("of_scope"),
    budget_warnings.c.subject == bindparam("of_subject"),
    budget_warnings.c.period == bindparam("of_period"),
    budget_warnings.c.window == bindparam("of_window"),
    budget_warnings.c.percent == bindparam("of_percent"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A mark that was passed."""

    scope: BudgetScope
    subject: str
    period: Period
    window: str
    percent: int
    spent_nano: int
    limit_nano: int


def crossed(tally: Tally, before: int) -> Iterator[Crossing]:
    """Return the marks that `tally` passed when what it spent grew from `before`."""
    limit = tally.limit or 0
    for percent in MARKS:
        if before * 100 < limit * percent <= tally.spent * 100:
            tally.told = percent
            yield _crossing(tally, percent)


def reached(tally: Tally) -> Iterator[Crossing]:
    """Return the last mark where a limit refuses a call with next to nothing left, the first time that happens."""
    limit = tally.limit or 0
    if tally.told < MARKS[-1] and tally.spent * 100 >= limit * NEARLY:
        tally.told = MARKS[-1]
        yield _crossing(tally, MARKS[-1])


def _crossing(tally: Tally, percent: int) -> Crossing:
    return Crossing(
        scope=tally.scope,
        subject=tally.subject,
        period=tally.period,
        window=tally.window,
        percent=percent,
        spent_nano=tally.spent,
        limit_nano=tally.limit or 0,
    )


def note(tx: Tx, keep: Keep, *, tenant: str, crossings: Sequence[Crossing]) -> None:
    """Write down marks that were passed, unless that is known for the window; in the transaction that closes the row."""
    for one in crossings:
        which = {
            "tenant": tenant,
            "scope": one.scope,
            "subject": one.subject,
            "period": one.period,
            "window": one.window,
            "percent": one.percent,
        }
        if tx.execute(_KNOWN, {f"of_{name}": value for name, value in which.items()}).first() is None:
            amounts = {"spent_nano": one.spent_nano, "limit_nano": one.limit_nano}
            tx.execute(insert(budget_warnings), which | amounts | {"id": keep.new_id("wrn"), "at": keep.now()})


def after(tx: Tx, last: str = "", *, limit: int = MAX_AFTER) -> list[dict[str, Any]]:
    """Return what was noted behind the warning `last`, of all tenants, the oldest first."""
    rows = select(budget_warnings).where(budget_warnings.c.id > last).order_by(budget_warnings.c.id).limit(limit)
    return [row._asdict() for row in tx.execute(rows)]


def drop(tx: Tx, keep: Keep) -> int:
    """Let go of warnings that are old, and return how many there were."""
    return tx.execute(delete(budget_warnings).where(budget_warnings.c.at <= keep.now() - KEPT)).rowcount
