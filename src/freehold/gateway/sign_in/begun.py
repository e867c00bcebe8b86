"""Sign-ins under way: who began which, until when, and what must come back; that part is sealed."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import delete, insert, select, update

from freehold.audit.recording import PLATFORM
from freehold.core.errors import Conflict, NotFound
from freehold.gateway.connection_tables import SIGN_IN, sign_ins
from freehold.gateway.keeping import Keep

KEPT: Final = timedelta(days=7)
SPENT, CONNECTED, DENIED, FAILED, EXPIRED = "spent", "connected", "denied", "failed", "expired"
_OVER: Final = frozenset({CONNECTED, DENIED, FAILED, EXPIRED})


def begin(
    tx: Tx, keep: Keep, *, owner: str, sign_in: str, connection: str, told: Mapping[str, Any], by: str, until: datetime
) -> None:
    """Write down that `by` began to sign a connection in; `told` is sealed."""
    sealed = keep.sealer(tx, owner).seal(json.dumps(told).encode(), name=sign_in, purpose=SIGN_IN)
    row = {"id": sign_in, "connection": connection, "sealed": sealed, "started_by": by, "started_at": keep.now()}
    tx.execute(insert(sign_ins).values(tenant=owner, expires_at=until, outcome="", **row))


def find(tx: Tx, sign_in: str) -> Any | None:
    """Return the sign-in by its id, whoever's it is; none if there is no such."""
    return tx.execute(select(sign_ins).where(sign_ins.c.id == sign_in)).first()


def opened(tx: Tx, keep: Keep, row: Any) -> dict[str, Any]:
    """Return what was sealed when it began."""
    opener = keep.opener(tx, row.tenant)
    if opener is None:
        raise unknown()
    return dict(json.loads(opener.open(row.sealed, name=row.id, purpose=SIGN_IN)))


def end(tx: Tx, sign_in: str, outcome: str) -> None:
    """Say what became of a sign-in."""
    tx.execute(update(sign_ins).where(sign_ins.c.id == sign_in).values(outcome=outcome))


def drop(tx: Tx, keep: Keep) -> int:
    """Let go of sign-ins that are long over, and return how many there were."""
    return tx.execute(delete(sign_ins).where(sign_ins.c.expires_at <= keep.now() - KEPT)).rowcount


def state(row: Any, at: datetime) -> str:
    """Return how a sign-in stands, for people: waiting, connected, denied, failed or expired."""
    if row.outcome in _OVER:
        return str(row.outcome)
    return "waiting" if at < row.expires_at else EXPIRED


def view(row: Any, at: datetime) -> dict[str, Any]:
    """Return a sign-in as people may see it."""
    told = {"id": row.id, "connection": row.connection, "by": row.started_by, "state": state(row, at)}
    tenant = None if row.tenant == PLATFORM else row.tenant
    return told | {"tenant": tenant, "started_at": row.started_at, "expires_at": row.expires_at}


def unknown() -> NotFound:
    """Return the error that tells there is no such sign-in, or none for whoever asks."""
    return NotFound(
        "There is no such sign-in.",
        code="unknown_sign_in",
        remedy="Begin again with `freehold connection connect NAME`, and come back as the person who began.",
    )


def over() -> Conflict:
    """Return the error that tells that a sign-in was finished, or has run out."""
    return Conflict(
        "This sign-in was used already, or has run out.",
        code="sign_in_over",
        remedy="Begin again with `freehold connection connect NAME`.",
    )


def changed() -> Conflict:
    """Return the error that tells that the connection is not what somebody began to sign in."""
    return Conflict(
        "The connection was changed or deleted meanwhile.",
        code="sign_in_over",
        remedy="Look at it with `freehold connection list`, and begin again.",
    )
