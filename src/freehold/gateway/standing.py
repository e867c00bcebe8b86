"""How a tenant stands to its limits: in this month, by the narrowest of them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, case, func, select

from freehold.core.money import BudgetScope, Period, UsageState, begins, ends
from freehold.gateway.money_tables import usage

_WHOLE: Final = frozenset({BudgetScope.TIER, BudgetScope.TENANT})
_OPEN: Final = usage.c.state == UsageState.OPEN
_MONTH: Final = select(
    func.coalesce(func.sum(case((_OPEN, 0), else_=usage.c.charge_nano)), 0).label("spent_nano"),
    func.coalesce(func.sum(case((_OPEN, usage.c.hold_nano), else_=0)), 0).label("held_nano"),
).where(usage.c.tenant == bindparam("of_tenant"), usage.c.opened_at >= bindparam("begun", type_=usage.c.opened_at.type))


def month(tx: Tx, *, tenant: str, limits: Iterable[Mapping[str, Any]], at: datetime) -> dict[str, Any]:
    """
    Return what `tenant` spent and holds in the month of `at`, what it may spend, and when the month ends.

    `limits` are as the books state them; with none for the whole tenant, the rows are summed and `limit_nano` is none.
    """
    whole = [one for one in limits if one["scope"] in _WHOLE and one["period"] == Period.MONTH]
    resets_at = ends(Period.MONTH, at)
    if whole:
        narrowest = min(whole, key=lambda one: int(one["limit_nano"]) - int(one["spent_nano"]) - int(one["held_nano"]))
        names = ("spent_nano", "held_nano", "limit_nano")
        return {name: narrowest[name] for name in names} | {"resets_at": resets_at}
    sums = tx.execute(_MONTH, {"of_tenant": tenant, "begun": begins(Period.MONTH, at)}).one()
    told = {"spent_nano": int(sums.spent_nano), "held_nano": int(sums.held_nano)}
    return told | {"limit_nano": None, "resets_at": resets_at}
