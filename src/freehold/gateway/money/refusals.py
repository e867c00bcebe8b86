"""What is said to a caller whose money has run out: how much is left, when there is some again, and who gives more."""

from datetime import datetime
from typing import Any, Final

from freehold.core.errors import Exhausted
from freehold.core.extending import HELD_BY_OTHERS
from freehold.core.money import NANO, BudgetScope, Period, ends, spelt
from freehold.gateway.money.bounds import Estimate
from freehold.gateway.money.counters import Tally

PAYMENT_REQUIRED: Final = 402
BUSY_SECONDS: Final = 10.0
_WHOSE: Final = {
    BudgetScope.TIER: "the tenant's tier",
    BudgetScope.TENANT: "the tenant",
    BudgetScope.AGENT: "this agent",
    BudgetScope.KEY: "this model key",
    BudgetScope.RUN: "this run",
    BudgetScope.LEVEL: "this level",
    BudgetScope.UNATTENDED: "runs nobody waits for",
}
_EACH: Final = {Period.DAY: "daily ", Period.MONTH: "monthly ", Period.EVER: ""}


def told(tally: Tally, at: datetime) -> dict[str, Any]:
    """Return how things stand with a limit, for people and programs."""
    resets = ends(tally.period, at)
    return {
        "scope": str(tally.scope),
        "subject": tally.subject,
        "period": str(tally.period),
        "limit_nano": tally.limit or 0,
        "spent_nano": tally.spent,
        "held_nano": tally.held,
        "left_nano": max(0, tally.room),
        "resets_at": None if resets is None else spelt(resets),
    }


def tightest(limited: list[Tally], *, busy: bool = False) -> Tally:
    """Return the limit that leaves least: for ever, or (`busy`) as long as others hold some of it."""
    return min(limited, key=lambda one: (one.room, one.free) if busy else (one.free, one.room))


def exhausted(tally: Tally, at: datetime, *, busy: bool = False) -> Exhausted:
    """Return the refusal of a call for which `tally` has no room; `busy`: only as long as others hold it."""
    facts = told(tally, at)
    if busy:
        error = Exhausted(
            f"What is left of {_named(tally)} is held for calls under way.",
            after=BUSY_SECONDS,
            code="budget_exhausted",
            status=PAYMENT_REQUIRED,
            remedy="Try again when some of them are over, or ask for shorter answers.",
        )
        error.facts = facts | {HELD_BY_OTHERS: BUSY_SECONDS}
        return error
    left = f"{_usd(max(0, tally.room))} of {_usd(tally.limit or 0)} USD are left"
    credit = tally.scope is BudgetScope.CREDIT
    named, how = _named(tally), "leaves too little for this call" if tally.room > 0 else "is used up"
    error = Exhausted(
        f"{named[0].upper()}{named[1:]} {how}: {left}.",
        code="credit_exhausted" if credit else "budget_exhausted",
        status=PAYMENT_REQUIRED,
        remedy=_remedy(tally, facts["resets_at"]),
    )
    error.facts = facts
    return error


def unpriced(estimate: Estimate) -> Exhausted:
    """Return the refusal of a call of which nobody knows what it costs at most, to somebody with a limit."""
    if estimate.price.known:
        message = "What the provider buys by itself during this call has no price that is known beforehand."
        remedy = "Leave out the provider's own tools, or ask somebody without a limit."
    else:
        message = "Nobody knows what this model costs, and a limit stands over this call."
        remedy = (
            "State its price with `freehold connection set NAME --price input=USD,output=USD`, or take another model."
        )
    return Exhausted(message, code="price_unknown", status=PAYMENT_REQUIRED, remedy=remedy)


def _named(tally: Tally) -> str:
    """Return what a limit is called."""
    if tally.scope is BudgetScope.CREDIT:
        return "the tenant's credit"
    return f"the {_EACH[tally.period]}budget of {_WHOSE[tally.scope]}"


def _usd(nano: int) -> str:
    """Return an amount with as many digits as it takes, and two at least."""
    whole, parts = divmod(nano, NANO)
    return f"{whole}.{f'{parts:09d}'.rstrip('0'):0<2}"


def _remedy(tally: Tally, resets_at: str | None) -> str:
    if tally.scope is BudgetScope.CREDIT:
        return "Ask the operator to top up the tenant's account."
    if tally.scope is BudgetScope.TIER:
        return f"Wait until {resets_at}, or ask the operator for a larger tier."
    raised = "ask an admin of the tenant to raise it with `freehold budget set`"
    if resets_at is None:
        return raised[0].upper() + raised[1:] + "."
    return f"Wait until {resets_at}, or {raised}."
