"""
What is done without being asked: after a start, and every now and then.

A row found open at a start belongs to a call whose gateway died: what came of it is not known. What was
sealed for a repeat is dropped after some days; the row itself and its link of the record stay.
"""

from datetime import timedelta
from typing import Final

from sqlalchemy import Connection as Tx
from sqlalchemy import or_, select, update

from freehold.core.effects import SANDBOX, EffectState
from freehold.gateway import ledger
from freehold.gateway.keeping import Keep
from freehold.gateway.manifests import adopt_all
from freehold.gateway.money import meter, warnings
from freehold.gateway.tables import effects

KEPT: Final = timedelta(days=7)
BATCH: Final = 500
BROKEN_OFF: Final = {
    "code": "outcome_unknown",
    "message": "The gateway stopped in the middle of this; it may have happened.",
    "remedy": "Look at the other side, and decide whether it may be done again.",
}


def recover(tx: Tx, keep: Keep) -> int:
    """Turn what is still open into *unknown*, charge it at its hold, and return how much that was; a sandbox goes on."""
    open_now = effects.c.state == EffectState.OPEN, effects.c.connection != SANDBOX
    found = tx.execute(select(effects.c.tenant, effects.c.key).where(*open_now)).all()
    for row in found:
        outcome = {"error": BROKEN_OFF}
        state = EffectState.UNKNOWN
        ledger.close(tx, keep, tenant=row.tenant, key=row.key, state=state, outcome=outcome, actor="gateway")
    meter.recover(tx, keep)
    return len(found)


def adopt(tx: Tx, keep: Keep) -> None:
    """List what lies in the vaults of those who had secrets before there were lists."""
    for tenant, number in adopt_all(tx, keep.manifests):
        keep.note(tx, tenant, actor="gateway", action="vault.list", subject="vault", detail={"manifest": number})


def sweep(tx: Tx, keep: Keep) -> int:
    """Expire questions nobody answered, drop what was kept for repeats, and old warnings; return how many rows."""
    return _expire(tx, keep) + _drop(tx, keep) + warnings.drop(tx, keep)


def _expire(tx: Tx, keep: Keep) -> int:
    late = effects.c.state == EffectState.ASKED, effects.c.decision.is_(None), effects.c.expires_at <= keep.now()
    found = tx.execute(select(effects.c.tenant, effects.c.key).where(*late).limit(BATCH)).all()
    for row in found:
        outcome = {"error": {"code": "expired", "message": "Nobody answered in time.", "remedy": "Ask again."}}
        state = EffectState.EXPIRED
        ledger.close(tx, keep, tenant=row.tenant, key=row.key, state=state, outcome=outcome, actor="gateway")
    return len(found)


def _drop(tx: Tx, keep: Keep) -> int:
    old = effects.c.closed_at <= keep.now() - KEPT
    kept = or_(effects.c.arguments.is_not(None), effects.c.outcome.is_not(None))
    settled = effects.c.state.not_in((EffectState.OPEN, EffectState.ASKED))
    return tx.execute(update(effects).where(old, kept, settled).values(arguments=None, outcome=None)).rowcount
