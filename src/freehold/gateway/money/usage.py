"""What was used, as people and programs ask for it: the newest rows, all together, and by agent, day and the like."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, func, select, type_coerce
from sqlalchemy import Connection as Tx

from freehold.core.errors import Invalid
from freehold.core.money import UsageState
from freehold.gateway.money.prices import UNKNOWN
from freehold.gateway.money_tables import usage

MAX_ROWS: Final = 1_000
MAX_GROUPS: Final = 10_000
SUMMED: Final = (
    "tokens_in",
    "tokens_out",
    "tokens_cached",
    "images",
    "seconds",
    "characters",
    "bytes_in",
    "bytes_out",
    "cost_nano",
    "charge_nano",
    "wakes",
    "awake_ms",
    "memory_mb_ms",
)
COUNTED: Final = ("estimated", "unpriced")
"""How many of the calls were charged by guess, and how many that were answered cost what nobody knows."""
_DAY_MS: Final = 86_400_000
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


class By(StrEnum):
    """What usage is summed by."""

    AGENT = "agent"
    RUN = "run"
    MODEL = "model"
    LEVEL = "level"
    KEY = "key"
    PROVIDER = "provider"
    """The connection."""
    DAY = "day"
    TENANT = "tenant"


_DAY: Final = type_coerce(usage.c.opened_at, BigInteger) // _DAY_MS
_COLUMNS: Final[dict[By, ColumnElement[Any]]] = {
    By.AGENT: usage.c.agent,
    By.RUN: usage.c.run,
    By.MODEL: usage.c.model,
    By.LEVEL: usage.c.level,
    By.KEY: usage.c.model_key,
    By.PROVIDER: usage.c.provider,
    By.DAY: _DAY,
    By.TENANT: usage.c.tenant,
}


def told(tx: Tx, *, tenant: str | None, run: str | None = None, since: int = 0, until: int = 0) -> dict[str, Any]:
    """
    Return the newest rows of `tenant` (none: of all) and the sums over all of them, by kind and together.

    Only what began from `since` on and before `until`, in milliseconds; 0: without end.
    """
    where = _where(tenant, since, until)
    where += [usage.c.run == run] if run is not None else []
    rows = tx.execute(select(usage).where(*where).order_by(usage.c.opened_at.desc(), usage.c.id.desc()).limit(MAX_ROWS))
    found = [row._asdict() for row in rows]
    by_kind = tx.execute(
        select(usage.c.kind, func.count().label("count"), *_sums()).where(*where).group_by(usage.c.kind)
    )
    kinds = {str(row.kind): _numbers(row._asdict(), without="kind") for row in by_kind}
    total = {name: sum(kind[name] for kind in kinds.values()) for name in ("count", *SUMMED, *COUNTED)}
    return {"rows": found, "kinds": kinds, "total": total}


def grouped(tx: Tx, *, tenant: str | None, by: str, since: int = 0, until: int = 0) -> list[dict[str, Any]]:
    """
    Return the sums of `tenant` (none: of all) for each agent, run, … or day, the dearest first, days in their order.

    A group says `key` (a day as `2026-11-21`), `count`, `held_nano` of what is under way, and the sums.
    """
    if by not in set(By) or (by == By.TENANT and tenant is not None):
        raise Invalid(
            f"Usage is not summed by {by[:40]!r}.",
            code="unknown_grouping",
            remedy=f"Use one of {', '.join(sorted(set(By)))}; tenant without a tenant.",
        )
    column = _COLUMNS[By(by)]
    held = func.coalesce(func.sum(usage.c.hold_nano).filter(usage.c.state == UsageState.OPEN), 0)
    asked = select(column.label("key"), func.count().label("count"), held.label("held_nano"), *_sums())
    asked = asked.where(*_where(tenant, since, until)).group_by(column).limit(MAX_GROUPS)
    rows = [row._asdict() for row in tx.execute(asked)]
    if by == By.DAY:
        return sorted((_group(row, _day(row["key"])) for row in rows), key=lambda row: str(row["key"]))
    return sorted((_group(row, str(row["key"])) for row in rows), key=lambda row: (-row["charge_nano"], row["key"]))


def _where(tenant: str | None, since: int, until: int) -> list[ColumnElement[bool]]:
    where = [usage.c.tenant == tenant] if tenant is not None else []
    where += [usage.c.opened_at >= _moment(since)] if since else []
    where += [usage.c.opened_at < _moment(until)] if until else []
    return where


def _sums() -> list[ColumnElement[int]]:
    sums = [func.coalesce(func.sum(usage.c[name]), 0).label(name) for name in SUMMED]
    unpriced = func.count().filter(usage.c.price == UNKNOWN.id, usage.c.bytes_out > 0)
    return [*sums, func.count().filter(usage.c.estimated).label("estimated"), unpriced.label("unpriced")]


def _moment(millis: int) -> datetime:
    return _START + timedelta(milliseconds=millis)


def _day(number: Any) -> str:
    return f"{_START + timedelta(days=int(number)):%Y-%m-%d}"


def _group(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {"key": key} | _numbers(row, without="key")


def _numbers(row: dict[str, Any], *, without: str) -> dict[str, int]:
    return {name: int(value) for name, value in row.items() if name != without}
