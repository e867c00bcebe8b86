"""Usage: a row is open before anything is dialled and closed when it is known what it cost."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, func, insert, select, update

from freehold.core.money import UsageKind, UsageState
from freehold.gateway.keeping import Keep
from freehold.gateway.ledger import Intent
from freehold.gateway.tables import usage

MAX_ROWS: Final = 1_000
_CLOSE: Final = update(usage).where(usage.c.tenant == bindparam("of_tenant"), usage.c.id == bindparam("of_id"))
_SUMMED: Final = ("tokens_in", "tokens_out", "cost_nano", "wakes", "awake_ms", "memory_mb_ms")


def begin(
    tx: Tx, keep: Keep, intent: Intent, *, kind: UsageKind, model: str = "", provider: str = "", price: str = ""
) -> str:
    """Open a usage row for one attempt and return its id."""
    made = keep.new_id("usg")
    tx.execute(
        insert(usage),
        {
            "tenant": intent.tenant,
            "id": made,
            "agent": intent.agent,
            "version": intent.version,
            "run": intent.run,
            "key": intent.key,
            "kind": kind,
            "model": model,
            "provider": provider,
            "price": price,
            "state": UsageState.OPEN,
            "opened_at": keep.now(),
        },
    )
    return made


def end(tx: Tx, keep: Keep, *, tenant: str, usage_id: str, state: UsageState, **counts: Any) -> None:
    """Close a usage row with what it turned out to be."""
    which = {"of_tenant": tenant, "of_id": usage_id}
    tx.execute(_CLOSE, which | counts | {"state": state, "closed_at": keep.now()})


def sandbox(tx: Tx, keep: Keep, intent: Intent, *, sandbox: str, wakes: int, awake_ms: int, memory_mb: int) -> None:
    """Write down that a sandbox was awake; there is nothing to dial, so the row is closed at once."""
    made = begin(tx, keep, intent, kind=UsageKind.SANDBOX)
    counts = {"sandbox": sandbox, "wakes": wakes, "awake_ms": awake_ms, "memory_mb_ms": memory_mb * awake_ms}
    end(tx, keep, tenant=intent.tenant, usage_id=made, state=UsageState.CLOSED, **counts)


def told(tx: Tx, *, tenant: str | None, run: str | None = None, since: int = 0) -> dict[str, Any]:
    """
    Return the newest rows of `tenant` (none: of all) and the sums over all of them, by kind and together.

    `since` leaves out what began before that moment, in milliseconds.
    """
    where = [usage.c.tenant == tenant] if tenant is not None else []
    where += [usage.c.run == run] if run is not None else []
    where += [usage.c.opened_at >= datetime.fromtimestamp(since / 1000, tz=UTC)] if since else []
    rows = tx.execute(select(usage).where(*where).order_by(usage.c.opened_at.desc(), usage.c.id.desc()).limit(MAX_ROWS))
    found = [row._asdict() for row in rows]
    sums = [func.coalesce(func.sum(usage.c[name]), 0).label(name) for name in _SUMMED]
    by_kind = tx.execute(select(usage.c.kind, func.count().label("count"), *sums).where(*where).group_by(usage.c.kind))
    kinds = {str(row.kind): _numbers(row._asdict()) for row in by_kind}
    total = {name: sum(kind[name] for kind in kinds.values()) for name in ("count", *_SUMMED)}
    return {"rows": found, "kinds": kinds, "total": total}


def _numbers(row: dict[str, Any]) -> dict[str, int]:
    return {name: int(value) for name, value in row.items() if name != "kind"}
