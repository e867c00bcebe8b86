"""Accounts: what the operator agreed with a tenant. A mark-up, credit paid in advance, and where models may be."""

import json
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, insert, select, update

from freehold.audit.canonical import fingerprint
from freehold.core.errors import Conflict, Invalid
from freehold.gateway.keeping import Keep
from freehold.gateway.money_tables import accounts
from freehold.gateway.tables import audit

PPM: Final = 1_000_000
MAX_MARKUP: Final = 100 * PPM
_BY_ITSELF: Final = ("credit_spent_nano",)
"""What changes with every call is not part of what was agreed."""
_CREDITED: Final = select(audit.c.detail).where(
    audit.c.tenant == bindparam("of_tenant"), audit.c.action == "account.credited"
)
_FIND: Final = select(accounts).where(accounts.c.tenant == bindparam("of_tenant"))
_CHANGE: Final = update(accounts).where(accounts.c.tenant == bindparam("of_tenant"))
_SPEND: Final = (
    update(accounts)
    .where(accounts.c.tenant == bindparam("of_tenant"), accounts.c.credit_nano.is_not(None))
    .values(credit_spent_nano=accounts.c.credit_spent_nano + bindparam("of_nano"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What was agreed; as it stands for a tenant with whom nothing was."""

    markup_ppm: int = 0
    """On what the platform's connections cost, in millionths."""
    credit_nano: int | None = None
    """All that was ever paid in advance; none: the tenant does not pay in advance."""
    credit_spent_nano: int = 0
    regions: frozenset[str] = frozenset()
    """Where models may be; none: anywhere."""

    def charge(self, cost_nano: int, *, own: bool) -> int:
        """Return what the tenant is charged for what a provider takes; `own`: from the tenant itself."""
        return cost_nano if own or not self.markup_ppm else -(-cost_nano * (PPM + self.markup_ppm) // PPM)

    def cost(self, charge_nano: int, *, own: bool) -> int:
        """Return what a provider may take for a charge not to be more than this."""
        return charge_nano if own else charge_nano * PPM // (PPM + self.markup_ppm)


NOTHING_AGREED: Final = Account()


def find(tx: Tx, *, tenant: str) -> Account:
    """Return what was agreed with `tenant`."""
    row = tx.execute(_FIND, {"of_tenant": tenant}).first()
    if row is None:
        return NOTHING_AGREED
    return Account(
        markup_ppm=row.markup_ppm,
        credit_nano=row.credit_nano,
        credit_spent_nano=row.credit_spent_nano,
        regions=frozenset(row.regions),
    )


def put(
    tx: Tx,
    keep: Keep,
    *,
    tenant: str,
    by: str,
    markup_ppm: int | None = None,
    regions: frozenset[str] | None = None,
    prepaid: bool | None = None,
) -> Account:
    """Change what is given; `prepaid` starts an account of credit at nothing, or ends it."""
    if markup_ppm is not None and not 0 <= markup_ppm <= MAX_MARKUP:
        raise Invalid("That is no mark-up.", code="invalid_account", remedy="Give it in percent, from 0 to 10000.")
    values: dict[str, Any] = {} if markup_ppm is None else {"markup_ppm": markup_ppm}
    values |= {} if regions is None else {"regions": sorted(regions)}
    before = find(tx, tenant=tenant)
    if prepaid is not None and prepaid is (before.credit_nano is None):
        values |= {"credit_nano": 0 if prepaid else None, "credit_spent_nano": 0}
    _write(tx, keep, tenant, by, values)
    return _noted(tx, keep, tenant, by, "account.changed", before, values)


def top_up(tx: Tx, keep: Keep, *, tenant: str, nano: int, by: str, reference: str = "") -> Account:
    """
    Add to what was paid in advance; less than nothing takes back. A tenant that did not pay in advance now does.

    What was added under the same `reference` before is not added again; raises `Conflict` (`reference_used`) for
    another amount under it.
    """
    before = find(tx, tenant=tenant)
    if reference and _added(tx, tenant, reference, nano):
        return before
    credit = (before.credit_nano or 0) + nano
    if credit < 0:
        raise Invalid("There is not that much credit.", code="invalid_account", remedy="Take back what was paid.")
    _write(tx, keep, tenant, by, {"credit_nano": credit})
    detail = {"nano": nano, "credit_nano": credit} | ({"reference": reference} if reference else {})
    return _noted(tx, keep, tenant, by, "account.credited", before, detail)


def spend(tx: Tx, *, tenant: str, nano: int) -> None:
    """Take `nano` off the credit, where there is one."""
    tx.execute(_SPEND, {"of_tenant": tenant, "of_nano": nano})


def _added(tx: Tx, tenant: str, reference: str, nano: int) -> bool:
    """Return whether the record has it that `nano` was added under `reference`."""
    for told in tx.execute(_CREDITED, {"of_tenant": tenant}).scalars():
        detail = json.loads(told)
        if detail.get("reference") == reference:
            if detail["nano"] != nano:
                raise Conflict(
                    f"Another amount was added under the reference {reference[:80]!r}.",
                    code="reference_used",
                    remedy="Give what was paid now a reference of its own.",
                )
            return True
    return False


def _noted(tx: Tx, keep: Keep, tenant: str, by: str, action: str, before: Account, detail: dict[str, Any]) -> Account:
    """Write a change into the record, and return the account as it stands."""
    after = find(tx, tenant=tenant)
    hashes = {"before": fingerprint(before, *_BY_ITSELF), "after": fingerprint(after, *_BY_ITSELF)}
    keep.note(tx, tenant, actor=by, action=action, subject=tenant, detail=detail, **hashes)
    return after


def _write(tx: Tx, keep: Keep, tenant: str, by: str, values: dict[str, Any]) -> None:
    stamped = values | {"changed_by": by, "changed_at": keep.now()}
    if not tx.execute(_CHANGE, {"of_tenant": tenant} | stamped).rowcount:
        fresh: dict[str, Any] = {"markup_ppm": 0, "credit_nano": None, "credit_spent_nano": 0, "regions": []}
        tx.execute(insert(accounts), {"tenant": tenant} | fresh | stamped)
