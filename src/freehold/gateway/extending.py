"""
Going on past a limit: what a run may ask a person for, and what an approval of it grants.

No grant of a version opens this and none closes it: what fits a limit that stands is asked about, always, and all
else is refused. A run reaches limits that its own calls count for, and no more than a share of them at once.
"""

import json
from typing import Any

from sqlalchemy import Connection as Tx

from freehold.core.effects import EXTEND, EffectState, Verdict
from freehold.core.errors import Invalid, NotFound
from freehold.core.extending import Extension, most
from freehold.core.money import Budget, BudgetScope, window
from freehold.gateway import ledger
from freehold.gateway.keeping import Keep
from freehold.gateway.ledger import Intent
from freehold.gateway.money import budgets


def judged(tx: Tx, keep: Keep, intent: Intent) -> Verdict:
    """Return whether a person is asked about this, or it is refused."""
    try:
        wanted = _wanted(intent)
        limit = _limit(tx, intent.tenant, wanted)
    except (Invalid, NotFound):
        return Verdict.DENY
    fits = intent.operation == EXTEND and _reaches(wanted, intent) and wanted.usd <= most(limit.limit(keep.now()))
    return Verdict.ASK if fits else Verdict.DENY


def carried_out(tx: Tx, keep: Keep, intent: Intent, *, by: str) -> dict[str, Any]:
    """
    Let the limit be passed as `by` approved, and return what came of it: all of it in one transaction.

    Nothing is granted once the window is over, since the next began with all of its money, or the limit is gone.
    """
    ledger.write(tx, keep, intent, state=EffectState.OPEN, first=False, verdict=Verdict.ASK, approver=by)
    result = {"extended": _granted(tx, keep, intent, by=by)}
    ledger.close(
        tx,
        keep,
        tenant=intent.tenant,
        key=intent.key,
        state=EffectState.DONE,
        outcome={"result": result},
        actor=intent.actor,
        approver=by,
    )
    return result


def _granted(tx: Tx, keep: Keep, intent: Intent, *, by: str) -> bool:
    wanted = _wanted(intent)
    try:
        _limit(tx, intent.tenant, wanted)
    except NotFound:
        return False
    if wanted.window != window(wanted.period, keep.now()):
        return False
    budgets.extend(
        tx,
        keep,
        tenant=intent.tenant,
        scope=wanted.scope,
        subject=wanted.subject,
        period=wanted.period,
        window=wanted.window,
        nano=wanted.nano,
        by=by,
    )
    return True


def _wanted(intent: Intent) -> Extension:
    return Extension.of(json.loads(intent.arguments or b"{}"))


def _limit(tx: Tx, tenant: str, wanted: Extension) -> Budget:
    """Return the limit that is to be passed: of a run its own if it was given one before, else that for each."""
    which: dict[str, Any] = {"tenant": tenant, "scope": wanted.scope, "period": wanted.period}
    try:
        return budgets.find(tx, subject=wanted.subject, **which)
    except NotFound:
        if wanted.scope is not BudgetScope.RUN:
            raise
        return budgets.find(tx, subject=budgets.EACH_RUN, **which)


def _reaches(wanted: Extension, intent: Intent) -> bool:
    """Return whether calls of the run that asks count for the limit."""
    match wanted.scope:
        case BudgetScope.RUN:
            return wanted.subject == intent.run
        case BudgetScope.AGENT:
            return wanted.subject == intent.agent
        case BudgetScope.TENANT | BudgetScope.LEVEL | BudgetScope.UNATTENDED:
            return True
        case BudgetScope.KEY | BudgetScope.TIER | BudgetScope.CREDIT:
            return False
