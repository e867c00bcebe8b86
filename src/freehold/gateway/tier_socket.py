"""
What web may tell about tiers, and what it asks every few seconds: all of that in one question.

What a tier lets a tenant spend stands in web's database and is counted here: web tells it before it lets anybody have
less, and all of it whenever this process began anew, with a store that may be an older one.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final, final

import msgspec
from sqlalchemy import Connection as Tx
from sqlalchemy import func, select

from freehold.core.money import Budget, BudgetScope, Period
from freehold.gateway import switches
from freehold.gateway.edge import Answer, route
from freehold.gateway.keeping import Keep
from freehold.gateway.money import budgets, warnings
from freehold.gateway.money_tables import budget_warnings
from freehold.gateway.money_tables import budgets as budget_table
from freehold.gateway.requests import Nothing

_LIMITS: Final = select(budget_table.c.tenant, budget_table.c.limit_nano).where(
    budget_table.c.scope == BudgetScope.TIER, budget_table.c.period == Period.MONTH
)
_NEWEST: Final = select(func.max(budget_warnings.c.id))
_WHICH: Final[dict[str, Any]] = {"scope": BudgetScope.TIER, "subject": "", "period": Period.MONTH}


class LimitRequest(msgspec.Struct, kw_only=True):
    """What tenants may spend in a month as their tiers say, in nano-USD; null: as much as they like."""

    limits: dict[str, int | None]
    by: str


class WarningsRequest(msgspec.Struct, kw_only=True):
    """A question for what was noted behind a warning."""

    after: str = ""


@final
class Tiers:
    """Answers about tiers, one method per route."""

    def __init__(self, keep: Keep, forget: Callable[[str], None]) -> None:
        """Keep limits in `keep`; `forget` lets the books read a tenant's anew."""
        self._keep, self._forget = keep, forget
        self._began = secrets.token_hex(8)
        """Says which process this is: another one may have another store."""

    def routes(self) -> dict[str, Answer]:
        """Return what web's socket answers."""
        return {
            "tenants/limit": route(LimitRequest, self._limit),
            "tenants/limits": route(Nothing, self._limits),
            "tenants/look": route(Nothing, self._look),
            "warnings": route(WarningsRequest, self._warnings),
        }

    async def _limit(self, request: LimitRequest) -> None:
        changed = await self._keep.write(lambda tx: limit(tx, self._keep, request.limits, by=request.by))
        for tenant in changed:
            self._forget(tenant)

    async def _limits(self, _request: Nothing) -> dict[str, int]:
        return await self._keep.read(limits)

    async def _look(self, _request: Nothing) -> dict[str, Any]:
        held, newest = await self._keep.read(lambda tx: (switches.held(tx), tx.execute(_NEWEST).scalar()))
        return {"held": held, "began": self._began, "warned": newest or ""}

    async def _warnings(self, request: WarningsRequest) -> list[dict[str, Any]]:
        return await self._keep.read(lambda tx: warnings.after(tx, request.after))


def limits(tx: Tx) -> dict[str, int]:
    """Return what tenants may spend in a month as their tiers say; one without a limit is not among them."""
    return {row.tenant: row.limit_nano for row in tx.execute(_LIMITS)}


def limit(tx: Tx, keep: Keep, wanted: dict[str, int | None], *, by: str) -> list[str]:
    """Let these be the limits of tiers from now on, and return the tenants whose limit is another one than before."""
    known = limits(tx)
    changed = [tenant for tenant, nano in wanted.items() if known.get(tenant) != nano]
    for tenant in changed:
        nano = wanted[tenant]
        if nano is None:
            budgets.remove(tx, keep, tenant=tenant, by=by, **_WHICH)
        else:
            budgets.put(tx, keep, tenant=tenant, budget=Budget(limit_nano=nano, **_WHICH), by=by)
    return changed
