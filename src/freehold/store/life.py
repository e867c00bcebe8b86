"""Receipts: what is left of tenants that were destroyed, and how far the destruction of others has come."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Integer, Text, delete, select, update

from freehold.core.tenants import Tenant
from freehold.store.schema import fields, table
from freehold.store.types import Json, Moment

receipt_table = table(
    "receipts",
    Column("tenant", Text, primary_key=True),
    Column("slug", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("deleted_at", Moment, nullable=False),
    Column("deleted_by", Text, nullable=False),
    Column("begun_at", Moment),
    Column("begun_by", Text, nullable=False),
    Column("workspaces", Integer, nullable=False),
    Column("files", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("folders_gone_at", Moment),
    Column("key_destroyed_at", Moment),
    Column("erased", Json, nullable=False),  # rows by table of the gateway's store
    Column("rows", Json, nullable=False),  # rows by table of the database
    Column("head", Text, nullable=False),  # number and hash of the last link of the tenant's chain
    Column("purged_at", Moment),
    tenant="platform",
    data_class="evidence",
    retention="forever",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a tenant that was deleted; each moment is set once that much of it is destroyed."""

    tenant: str
    slug: str
    created_at: datetime
    deleted_at: datetime
    deleted_by: str
    begun_at: datetime | None = None
    """When its destruction began; from then on nothing brings it back."""
    begun_by: str = ""
    workspaces: int = 0
    files: int = 0
    bytes: int = 0
    """Of the files; what lay in workspaces belonged to sandboxes, and nobody looks in there to count."""
    folders_gone_at: datetime | None = None
    key_destroyed_at: datetime | None = None
    erased: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    head: str = ""
    purged_at: datetime | None = None


class Receipts:
    """All receipts of the installation."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def begin(self, tenant: Tenant, *, by: str, at: datetime) -> None:
        """Write down that the tenant was deleted."""
        begun = Receipt(tenant=tenant.id, slug=tenant.slug, created_at=tenant.created_at, deleted_at=at, deleted_by=by)
        self._connection.execute(receipt_table.insert().values(asdict(begun)))

    def withdraw(self, tenant: str) -> bool:
        """Forget the receipt of a tenant that is restored; return False where its destruction has begun."""
        which = receipt_table.c.tenant == tenant, receipt_table.c.begun_at.is_(None)
        return self._connection.execute(delete(receipt_table).where(*which)).rowcount == 1

    def get(self, tenant: str) -> Receipt | None:
        """Return the receipt of the tenant with this id, if it was deleted."""
        row = self._connection.execute(select(receipt_table).where(receipt_table.c.tenant == tenant)).mappings().first()
        return None if row is None else Receipt(**fields(row))

    def put(self, tenant: str, **changes: Any) -> None:
        """Write down how far the destruction has come."""
        self._connection.execute(update(receipt_table).where(receipt_table.c.tenant == tenant).values(changes))

    def under_way(self) -> list[Receipt]:
        """Return those of tenants that are being destroyed."""
        query = select(receipt_table).where(receipt_table.c.begun_at.is_not(None), receipt_table.c.purged_at.is_(None))
        return [
            Receipt(**fields(row))
            for row in self._connection.execute(query.order_by(receipt_table.c.tenant)).mappings()
        ]

    def page(self, *, after: str = "", limit: int = 100) -> list[Receipt]:
        """Return receipts by tenant, those behind `after`, at most `limit`."""
        query = (
            select(receipt_table).where(receipt_table.c.tenant > after).order_by(receipt_table.c.tenant).limit(limit)
        )
        return [Receipt(**fields(row)) for row in self._connection.execute(query).mappings()]
