"""The record in the database: what web and worker did, one chain per tenant."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from freehold.audit.recording import audit_table, record
from freehold.store.schema import metadata

table: Final = audit_table(metadata)


def note(
    connection: Connection,
    *,
    at: datetime,
    tenant: str | None,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write down, in the transaction of `connection`, that `actor` did `action` to `subject`."""
    millis = round(at.timestamp() * 1000)
    record(connection, table, at=millis, tenant=tenant, actor=actor, action=action, subject=subject, detail=detail)
