"""The record in the database: what web and worker did, one chain per tenant."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Connection, Integer, LargeBinary, Text, bindparam, select
from typing_extensions import Unpack

from freehold.audit.recording import PLATFORM, Facts, audit_table, record
from freehold.audit.texts import sealed
from freehold.store import schema
from freehold.store.people import installation_table
from freehold.store.tenants import tenant_table

STORE: Final = "database"
"""What its rows call it."""

table: Final = audit_table(schema.metadata)

text_table: Final = schema.table(
    "audit_texts",
    Column("position", Integer, primary_key=True, autoincrement=False),  # of the row it belongs to
    Column("tenant", Text, nullable=False, index=True),  # empty: the platform's
    Column("sealed", LargeBinary, nullable=False),
    tenant="tenant",
    data_class="identity",
    retention="tenant",
)

_TENANTS_KEY: Final = select(tenant_table.c.public_key).where(tenant_table.c.id == bindparam("of_tenant"))
_PLATFORMS_KEY: Final = select(installation_table.c.public_key)


def note(
    connection: Connection,
    *,
    at: datetime,
    tenant: str | None,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
    personal: Mapping[str, str] | None = None,
    **facts: Unpack[Facts],
) -> None:
    """
    Write down, in the transaction of `connection`, that `actor` did `action` to `subject`.

    `personal` is text about people: it lies beside, encrypted, and only its hash is in the chain.
    """
    kept = sealed(personal, _public_key(connection, tenant)) if personal else None
    if kept is not None:
        facts["text"] = kept.hash
    position = record(
        connection,
        table,
        at=round(at.timestamp() * 1000),
        tenant=tenant,
        actor=actor,
        action=action,
        subject=subject,
        detail=detail,
        **facts,
    )
    if kept is not None and kept.box is not None:
        beside = {"position": position, "tenant": tenant or PLATFORM, "sealed": kept.box}
        connection.execute(text_table.insert(), beside)


def texts(connection: Connection, positions: Iterable[int]) -> dict[int, bytes]:
    """Return the encrypted personal text beside the rows at `positions`, where there is any."""
    found = select(text_table.c.position, text_table.c.sealed).where(text_table.c.position.in_(list(positions)))
    return {row.position: row.sealed for row in connection.execute(found)}


def _public_key(connection: Connection, tenant: str | None) -> str:
    asked = _PLATFORMS_KEY if tenant is None else _TENANTS_KEY
    return str(connection.execute(asked, {} if tenant is None else {"of_tenant": tenant}).scalar() or "")
