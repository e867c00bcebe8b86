"""
Going on past a limit: what a run may ask a person for, and how much of it at once.

A limit that a tenant set for itself may be passed by some dollars, in the window of time that it was met in, if a
person says so. What the operator set (the tier, credit) no member can pass.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from freehold.core.errors import Invalid
from freehold.core.money import NANO, BudgetScope, Period, window

EXHAUSTED: Final = "budget_exhausted"
"""The code of a call that a limit stands against."""
HELD_BY_OTHERS: Final = "retry_after"
"""The fact of such a refusal that says after how many seconds to ask again, where others only hold what is there."""
PAYMENT: Final = frozenset({EXHAUSTED, "credit_exhausted", "price_unknown"})
"""The codes of what is refused for want of money, with status 402."""
OPERATORS: Final = frozenset({BudgetScope.TIER, BudgetScope.CREDIT})
"""Scopes of limits that are not the tenant's own."""
SHARE: Final = 5
"""What is asked for is the limit by this, …"""
LEAST_USD: Final = 1
"""… and at least this."""
LONGEST: Final = 80
"""Characters of a subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """Some dollars on top of a limit, in one window of time."""

    scope: BudgetScope
    subject: str
    period: Period
    window: str
    usd: int

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Extension":
        """Return what the arguments of an effect mean; raise `Invalid` (`bad_extension`) where they mean nothing."""
        match arguments:
            case {
                "scope": str(scope),
                "subject": str(subject),
                "period": str(period),
                "window": str(at),
                "usd": int(usd),
            }:
                known = scope in set(BudgetScope) - OPERATORS and period in set(Period)
                short = len(subject) <= LONGEST and len(at) <= LONGEST
                if known and short and len(arguments) == len(cls.__slots__) and type(usd) is int and usd >= LEAST_USD:
                    return cls(scope=BudgetScope(scope), subject=subject, period=Period(period), window=at, usd=usd)
            case _:
                pass
        raise Invalid("This extends no budget.", code="bad_extension", remedy="Ask for one that stands in the way.")

    def arguments(self) -> dict[str, Any]:
        """Return it as the arguments of an effect."""
        return asdict(self)

    @property
    def nano(self) -> int:
        """How much it is, in nano-USD."""
        return self.usd * NANO


def most(limit_nano: int) -> int:
    """Return how many dollars a run may ask for on top of a limit at once: a fifth of it, and a dollar at least."""
    return max(LEAST_USD, round(limit_nano / SHARE / NANO))


def wanted(facts: Mapping[str, object], *, run: str, at: datetime) -> Extension | None:
    """
    Return what `run` asks a person for when a limit stands in its way as `facts` tell; none where nobody can help.

    A limit for each run is passed by this one alone.
    """
    match facts:
        case {"scope": str(scope), "subject": str(subject), "period": str(period), "limit_nano": int(limit)}:
            if scope not in set(BudgetScope) - OPERATORS or period not in set(Period):
                return None
            return Extension(
                scope=BudgetScope(scope),
                subject=run if scope == BudgetScope.RUN else subject,
                period=Period(period),
                window=window(Period(period), at),
                usd=most(limit),
            )
        case _:
            return None
