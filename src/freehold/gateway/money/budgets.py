"""Limits as they were set: by the operator (tier), by a tenant's admins (all others), by an approval (extra)."""

from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, delete, insert, select, update

from freehold.audit.canonical import fingerprint
from freehold.core.errors import Invalid, NotFound
from freehold.core.money import Budget, BudgetScope, Level, Period
from freehold.gateway.keeping import Keep
from freehold.gateway.money_tables import budgets

EACH_RUN: Final = "*"
MAX_NANO: Final = 1 << 62
_PERIODS: Final = {
    BudgetScope.RUN: frozenset({Period.EVER}),
    BudgetScope.TIER: frozenset({Period.MONTH}),
}
_CALENDAR: Final = frozenset({Period.DAY, Period.MONTH})
_WITHOUT_SUBJECT: Final = frozenset({BudgetScope.TIER, BudgetScope.TENANT, BudgetScope.UNATTENDED})
_LISTED: Final = (
    select(budgets)
    .where(budgets.c.tenant == bindparam("of_tenant"))
    .order_by(budgets.c.scope, budgets.c.subject, budgets.c.period)
)
_ONE: Final = (
    budgets.c.tenant == bindparam("of_tenant"),
    budgets.c.scope == bindparam("of_scope"),
    budgets.c.subject == bindparam("of_subject"),
    budgets.c.period == bindparam("of_period"),
)


def listed(tx: Tx, *, tenant: str) -> list[Budget]:
    """Return all limits of `tenant`."""
    return [
        Budget(
            scope=row.scope,
            subject=row.subject,
            period=row.period,
            limit_nano=row.limit_nano,
            extra_nano=row.extra_nano,
            extra_window=row.extra_window,
        )
        for row in tx.execute(_LISTED, {"of_tenant": tenant})
    ]


def check(budget: Budget) -> None:
    """Raise `Invalid` if there can be no such limit."""
    if budget.scope is BudgetScope.CREDIT:
        raise Invalid("Credit is no budget.", code="invalid_budget", remedy="Top up the account of the tenant.")
    if budget.period not in _PERIODS.get(budget.scope, _CALENDAR):
        raise Invalid(
            f"A limit of the scope {budget.scope} cannot be counted by {budget.period}.",
            code="invalid_budget",
            remedy="Use day or month; of a run use ever, of a tier use month.",
        )
    if not 0 <= budget.limit_nano < MAX_NANO:
        raise Invalid("A limit is an amount of money.", code="invalid_budget", remedy="Give it in USD, from 0.")
    _check_subject(budget.scope, budget.subject)


def _check_subject(scope: BudgetScope, subject: str) -> None:
    good = {
        BudgetScope.RUN: subject == EACH_RUN,
        BudgetScope.LEVEL: subject in set(Level),
    }.get(scope, bool(subject) is (scope not in _WITHOUT_SUBJECT))
    if not good:
        raise Invalid(
            f"A limit of the scope {scope} cannot be about {subject or 'nothing'}.",
            code="invalid_budget",
            remedy="Name the agent, the key or the level; of runs name *; leave it out otherwise.",
        )


def put(tx: Tx, keep: Keep, *, tenant: str, budget: Budget, by: str) -> None:
    """Set a limit; one of the same scope, subject and period is replaced, what was granted on top of it goes on."""
    check(budget)
    values = {"limit_nano": budget.limit_nano, "set_by": by, "set_at": keep.now()}
    which = _which(tenant, budget.scope, budget.subject, budget.period)
    before = _known(tx, tenant, budget)
    if not tx.execute(update(budgets).where(*_ONE), which | values).rowcount:
        key = {"tenant": tenant, "scope": budget.scope, "subject": budget.subject, "period": budget.period}
        extra = {"extra_nano": budget.extra_nano, "extra_window": budget.extra_window}
        tx.execute(insert(budgets), key | values | extra)
    _note(tx, keep, tenant, by, "budget.set", budget, before, limit_nano=budget.limit_nano)


def remove(tx: Tx, keep: Keep, *, tenant: str, scope: BudgetScope, subject: str, period: Period, by: str) -> None:
    """Take a limit away; raise `NotFound` if there is none."""
    budget = find(tx, tenant=tenant, scope=scope, subject=subject, period=period)
    tx.execute(delete(budgets).where(*_ONE), _which(tenant, scope, subject, period))
    _note(tx, keep, tenant, by, "budget.deleted", budget, budget, limit_nano=budget.limit_nano)


def extend(
    tx: Tx,
    keep: Keep,
    *,
    tenant: str,
    scope: BudgetScope,
    subject: str,
    period: Period,
    window: str,
    nano: int,
    by: str,
) -> None:
    """
    Grant `nano` on top of a limit, in the window `window` only; what was granted in it before stays.

    Of runs the `subject` is one: the limit for each stays as it is, and this run gets one of its own.
    """
    if scope is BudgetScope.RUN:
        _give_own(tx, keep, tenant=tenant, run=subject, by=by)
    budget = find(tx, tenant=tenant, scope=scope, subject=subject, period=period)
    if nano <= 0:
        raise Invalid("What is granted on top is more than nothing.", code="invalid_budget", remedy="Give it in USD.")
    extra = nano + (budget.extra_nano if budget.extra_window == window else 0)
    values = {"extra_nano": extra, "extra_window": window}
    tx.execute(update(budgets).where(*_ONE), _which(tenant, scope, subject, period) | values)
    _note(tx, keep, tenant, by, "budget.extended", budget, budget, extra_nano=nano, window=window)


def _give_own(tx: Tx, keep: Keep, *, tenant: str, run: str, by: str) -> None:
    """Let there be a limit for this one run, as high as that for each; one that is there stays."""
    known = [budget for budget in listed(tx, tenant=tenant) if budget.scope is BudgetScope.RUN]
    if any(budget.subject == run for budget in known):
        return
    each = find(tx, tenant=tenant, scope=BudgetScope.RUN, subject=EACH_RUN, period=Period.EVER)
    key = {"tenant": tenant, "scope": BudgetScope.RUN, "subject": run, "period": Period.EVER}
    values = {"limit_nano": each.limit_nano, "extra_nano": 0, "extra_window": "", "set_by": by, "set_at": keep.now()}
    tx.execute(insert(budgets), key | values)


def find(tx: Tx, *, tenant: str, scope: BudgetScope, subject: str, period: Period) -> Budget:
    """Return one limit; raise `NotFound` if there is none."""
    for budget in listed(tx, tenant=tenant):
        if (budget.scope, budget.subject, budget.period) == (scope, subject, period):
            return budget
    raise NotFound("There is no such limit.", remedy="List the limits with `freehold budget list`.")


def _which(tenant: str, scope: BudgetScope, subject: str, period: Period) -> dict[str, Any]:
    return {"of_tenant": tenant, "of_scope": scope, "of_subject": subject, "of_period": period}


def _known(tx: Tx, tenant: str, budget: Budget) -> Budget | None:
    """Return the limit of the same scope, subject and period as it stands."""
    which = (budget.scope, budget.subject, budget.period)
    return next((one for one in listed(tx, tenant=tenant) if (one.scope, one.subject, one.period) == which), None)


def _note(
    tx: Tx, keep: Keep, tenant: str, by: str, action: str, budget: Budget, before: Budget | None, **detail: Any
) -> None:
    subject = ":".join(part for part in (budget.scope, budget.subject, budget.period) if part)
    hashes = {"before": fingerprint(before), "after": fingerprint(_known(tx, tenant, budget))}
    keep.note(tx, tenant, actor=by, action=action, subject=subject, detail=detail, **hashes)
