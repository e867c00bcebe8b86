"""
The meter's rows: one per attempt, open before it is dialled, closed when it is known what it cost.

Every function works inside a transaction of its caller. What is found open at a start belongs to a call whose gateway
died: it is charged what was held for it, and says that this was estimated.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    bindparam,
    case,
    exists,
    false,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy import Connection as Tx

from freehold.core.money import UsageKind, UsageState
from freehold.gateway.asked import Units, Whom
from freehold.gateway.keeping import Keep
from freehold.gateway.money import accounts
from freehold.gateway.money_tables import accounts as accounts_table
from freehold.gateway.money_tables import usage
from freehold.store.prepared import Prepared

_OPENED: Final = (
    "tenant",
    "id",
    "agent",
    "version",
    "run",
    "key",
    "kind",
    "model",
    "provider",
    "state",
    "hold_nano",
    "price",
    "api",
    "level",
    "model_key",
    "attended",
    "own",
    "attempt",
    "call",
    "bytes_in",
    "opened_at",
)
_UNUSED: Final[dict[str, Any]] = {
    column.name: false()
    if isinstance(column.type, Boolean)
    else literal_column("''" if column.name == "sandbox" else "0")
    for column in usage.c
    if column.name not in _OPENED and not column.nullable
}
"""What is not known of a row when it is opened, spelt into the statement."""
_OPEN: Final = Prepared(insert(usage).values(_UNUSED | {name: bindparam(name) for name in _OPENED}))
_CLOSED: Final = (
    "state",
    "tokens_in",
    "tokens_out",
    "tokens_cached",
    "tokens_written",
    "images",
    "seconds",
    "characters",
    "cost_nano",
    "charge_nano",
    "estimated",
    "status",
    "bytes_out",
    "closed_at",
)
_THIS: Final = (usage.c.tenant == bindparam("of_tenant"), usage.c.id == bindparam("of_id"))
_CLOSE: Final = Prepared(update(usage).where(*_THIS).values({name: bindparam(name) for name in _CLOSED}))
_SLEPT: Final = ("sandbox", "wakes", "awake_ms", "memory_mb_ms")
_AWAKE: Final = Prepared(
    update(usage).where(*_THIS).values({name: bindparam(f"of_{name}", type_=usage.c[name].type) for name in _SLEPT})
)
_CARRIED: Final = Prepared(
    update(usage).where(*_THIS).values(bytes_in=bindparam("of_bytes", type_=usage.c.bytes_in.type))
)
_NOTHING: Final = Units(requests=0)
_SPEND: Final = Prepared(
    update(accounts_table)
    .where(
        accounts_table.c.tenant == bindparam("of_tenant"),
        accounts_table.c.credit_nano.is_not(None),
        exists().where(*_THIS, usage.c.own.is_(False)),
    )
    .values(credit_spent_nano=accounts_table.c.credit_spent_nano + bindparam("of_nano"))
)
"""What the tenant's own account paid for takes nothing off its credit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is known of an attempt before it is dialled."""

    whom: Whom
    kind: UsageKind = UsageKind.MODEL
    key: str = ""
    """Of the effect, for a worker's call."""
    api: str = ""
    model: str = ""
    provider: str = ""
    """The connection's name."""
    price_id: str = ""
    hold_nano: int = 0
    own: bool = False
    """Whether the connection is the tenant's own."""
    attempt: int = 1
    call: str = ""
    """The id of the call's first attempt; empty for that one itself."""
    bytes_in: int = 0
    opened_at: datetime
    """When the money was held: it counts to the windows that this lies in."""


def open(tx: Tx, keep: Keep, opening: Opening) -> str:  # noqa: A001 - what is done to a row; called as meter.open
    """Write an open row and return its id."""
    made = keep.new_id("usg")
    whom = opening.whom
    _OPEN.later(
        tx,
        {
            "tenant": whom.tenant,
            "id": made,
            "agent": whom.agent,
            "version": whom.version,
            "run": whom.run,
            "key": opening.key,
            "kind": opening.kind,
            "model": opening.model,
            "provider": opening.provider,
            "state": UsageState.OPEN,
            "hold_nano": opening.hold_nano,
            "price": opening.price_id,
            "api": opening.api,
            "level": whom.level,
            "model_key": whom.key,
            "attended": whom.attended,
            "own": opening.own,
            "attempt": opening.attempt,
            "call": opening.call or made,
            "bytes_in": opening.bytes_in,
            "opened_at": opening.opened_at,
        },
    )
    return made


def close(
    tx: Tx,
    keep: Keep,
    *,
    tenant: str,
    usage_id: str,
    state: UsageState,
    units: Units | None = None,
    cost_nano: int = 0,
    charge_nano: int = 0,
    estimated: bool = False,
    status: int = 0,
    bytes_out: int = 0,
) -> None:
    """Close a row with what it turned out to be, and take the charge off the tenant's credit."""
    told = units or _NOTHING
    values = {
        "state": state,
        "tokens_in": told.input,
        "tokens_out": told.output,
        "tokens_cached": told.cached,
        "tokens_written": told.written,
        "images": told.images,
        "seconds": told.seconds,
        "characters": told.characters,
        "cost_nano": cost_nano,
        "charge_nano": charge_nano,
        "estimated": estimated,
        "status": status,
        "bytes_out": bytes_out,
        "closed_at": keep.now(),
    }
    which = {"of_tenant": tenant, "of_id": usage_id}
    _CLOSE.later(tx, which | values)
    if charge_nano:
        _SPEND.later(tx, which | {"of_nano": charge_nano})


def carried(tx: Tx, *, tenant: str, usage_id: str, bytes_in: int) -> None:
    """Write down how much went out in a session that is over: when it was opened, nobody knew."""
    _CARRIED.later(tx, {"of_tenant": tenant, "of_id": usage_id, "of_bytes": bytes_in})


def sandbox(tx: Tx, keep: Keep, whom: Whom, *, sandbox: str, wakes: int, awake_ms: int, memory_mb: int) -> None:
    """Write down that a sandbox was awake; there is nothing to dial, so the row is closed at once."""
    made = open(tx, keep, Opening(whom=whom, kind=UsageKind.SANDBOX, opened_at=keep.now()))
    close(tx, keep, tenant=whom.tenant, usage_id=made, state=UsageState.CLOSED)
    told = (sandbox, wakes, awake_ms, memory_mb * awake_ms)
    counts = {f"of_{name}": value for name, value in zip(_SLEPT, told, strict=True)}
    _AWAKE.later(tx, {"of_tenant": whom.tenant, "of_id": made} | counts)


def recover(tx: Tx, keep: Keep) -> int:
    """Charge every row found open what was held for it, say that this is an estimate, and return how many there were."""
    left = usage.c.state == UsageState.OPEN
    sums = select(usage.c.tenant, func.sum(usage.c.hold_nano).label("nano")).where(left, usage.c.own.is_(False))
    for row in tx.execute(sums.group_by(usage.c.tenant)).all():
        accounts.spend(tx, tenant=row.tenant, nano=int(row.nano))
    values = {
        "state": UsageState.UNSETTLED,
        "estimated": True,
        "cost_nano": _without_markup(),
        "charge_nano": usage.c.hold_nano,
        "closed_at": keep.now(),
    }
    return tx.execute(update(usage).where(left).values(values)).rowcount


def _without_markup() -> ColumnElement[int]:
    """Return what a provider may take for what is held: as `Account.cost`, in steps that no amount is too large for."""
    markup = select(accounts_table.c.markup_ppm).where(accounts_table.c.tenant == usage.c.tenant).scalar_subquery()
    whole = case((usage.c.own, 0), else_=func.coalesce(markup, 0)) + accounts.PPM
    return usage.c.hold_nano // whole * accounts.PPM + usage.c.hold_nano % whole * accounts.PPM // whole
