"""
The end of a deleted tenant, step by step: what a step does twice it does once, so whoever dies in between is no matter.

First it is written down that it begins, and nothing brings the tenant back. Then its folders go, then its key and all
that the gateway keeps under it, then its rows, table by table; last the tenant itself, in one transaction with its
receipt. What says nothing of anybody stays: links of the record, which hold hashes, and what was used.
"""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, Table, delete, select, tuple_

from freehold.audit.database import note
from freehold.audit.database import table as audit_table
from freehold.core.clock import Clock
from freehold.core.errors import Conflict
from freehold.core.tenants import TenantState
from freehold.store.life import Receipt, Receipts
from freehold.store.outbox import idempotency_table
from freehold.store.platform import Platform
from freehold.store.schema import metadata
from freehold.store.tenants import tenant_table
from freehold.tenants.living import told

BATCH: Final = 500
"""Rows of one transaction: others wait for it."""
BY_ITSELF: Final = "clock"
"""Who destroys a tenant whose time is over."""


def due(platform: Platform, *, clock: Clock) -> list[str]:
    """Return the ids of deleted tenants whose retention time is over and whose destruction has not begun."""
    over = tenant_table.c.state == TenantState.DELETED, tenant_table.c.purge_at <= clock.now()
    found = platform.connection.execute(select(tenant_table.c.id).where(*over)).scalars()
    receipts = Receipts(platform.connection)
    return [tenant for tenant in found if (one := receipts.get(tenant)) is not None and one.begun_at is None]


def begin(platform: Platform, tenant: str, *, by: str, clock: Clock) -> Receipt:
    """
    Write down that the tenant with this id is destroyed from now on, and return its receipt.

    Raises `Conflict`: `not_deleted`, or `too_early` while it can still be restored. Beginning twice changes nothing.
    """
    found, receipts, now = platform.tenants.find(tenant), Receipts(platform.connection), clock.now()
    receipt = receipts.get(found.id)
    if found.state is not TenantState.DELETED or receipt is None:
        raise Conflict(
            "Only a deleted tenant is destroyed.",
            code="not_deleted",
            remedy="Delete it first: freehold tenant delete TENANT --confirm SLUG",
        )
    if found.purge_at is None or found.purge_at > now:
        raise Conflict(
            "The tenant can still be restored, and is not destroyed before that time is over.",
            code="too_early",
            remedy=f"Ask again after {found.purge_at:%Y-%m-%d %H:%M} UTC; FREEHOLD_TENANT_RETENTION_DAYS is how long.",
        )
    if receipt.begun_at is None:
        receipts.put(found.id, begun_at=now, begun_by=by)
        told(platform, found, "tenant.purge", by=by, clock=clock, detail={"slug": found.slug}, before=found)
    return receipts.get(found.id) or receipt


def erase_some(platform: Platform, tenant: str) -> bool:
    """Delete some rows of the tenant with this id and count them in its receipt; return whether there may be more."""
    connection = platform.connection
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")  # what is deleted is overwritten
    for table in tables():
        gone = _some(connection, table, tenant)
        if gone:
            _count(connection, tenant, table.name, gone)
            return True
    return False


def finish(platform: Platform, tenant: str, *, clock: Clock) -> Receipt | None:
    """Delete the tenant itself, complete its receipt and return that; where it is gone already, nothing happens."""
    connection, receipts, now = platform.connection, Receipts(platform.connection), clock.now()
    receipt = receipts.get(tenant)
    if receipt is None or receipt.purged_at is not None:
        return receipt
    connection.execute(delete(tenant_table).where(tenant_table.c.id == tenant))
    made = idempotency_table.c.tenant == "", idempotency_table.c.made == tenant
    connection.execute(delete(idempotency_table).where(*made))
    head = _head(connection, tenant)
    receipts.put(tenant, purged_at=now, head=head)
    detail = {
        "slug": receipt.slug,
        "rows": sum(receipt.rows.values()),
        "files": receipt.files,
        "bytes": receipt.bytes,
        "workspaces": receipt.workspaces,
        "head": head,
    }
    by, action = receipt.begun_by, "tenant.destroyed"
    note(connection, at=now, tenant=None, actor=by, action=action, subject=tenant, detail=detail)
    return receipts.get(tenant)


def tables() -> Iterator[Table]:
    """Give every table with rows of tenants that go with them: all but the record itself, and the tenants last."""
    for table in metadata.sorted_tables:
        if table.info["tenant"] != "platform" and table is not audit_table and table is not tenant_table:
            yield table


def _some(connection: Connection, table: Table, tenant: str) -> int:
    key = tuple(table.primary_key.columns)
    some = select(*key).where(table.c[table.info["tenant"]] == tenant).limit(BATCH)
    which = key[0].in_(some) if len(key) == 1 else tuple_(*key).in_(some)
    return connection.execute(delete(table).where(which)).rowcount


def _count(connection: Connection, tenant: str, table: str, gone: int) -> None:
    receipts = Receipts(connection)
    receipt = receipts.get(tenant)
    if receipt is not None:
        receipts.put(tenant, rows=receipt.rows | {table: receipt.rows.get(table, 0) + gone})


def _head(connection: Connection, tenant: str) -> str:
    """Return number and hash of the last link of the tenant's chain that has its place."""
    last = (
        select(audit_table.c.seq, audit_table.c.hash)
        .where(audit_table.c.tenant == tenant, audit_table.c.seq.is_not(None))
        .order_by(audit_table.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(last).first()
    return "" if row is None else f"{row.seq}:{row.hash}"
