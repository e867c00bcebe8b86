"""The outbox: replies that are to leave, and keys under which a request was answered before."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, Text, select, update

from freehold.core.errors import Conflict
from freehold.store.schema import fields, one_of, table, tenant_column
from freehold.store.types import Coded, Json, Moment


class OutboxState(StrEnum):
    """Where something that is to leave stands."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


outbox_table = table(
    "outbox",
    tenant_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("run", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("payload", Json, nullable=False),
    Column("trace", Text, nullable=False),
    Column("state", Coded(OutboxState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("error", Json),
    Column("created_at", Moment, nullable=False),
    one_of("state", OutboxState),
    Index("outbox_by_state", "state", "due_at"),
    tenant="tenant",
    data_class="content",
    retention="days:30",
)

idempotency_table = table(
    "idempotency",
    tenant_column(primary_key=True),
    Column("place", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("made", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    tenant="tenant",
    data_class="operation",
    retention="days:7",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One reply on its way out by a channel."""

    id: str
    run: str
    channel: str
    payload: dict[str, Any]
    due_at: datetime
    created_at: datetime
    trace: str = ""
    state: OutboxState = OutboxState.PENDING
    attempts: int = 0
    error: dict[str, str] | None = None


class Outbox:
    """What is to leave for one tenant."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        """Belong to `tenant`, within the transaction of `connection`."""
        self._connection, self._tenant = connection, tenant

    def add(self, outgoing: Outgoing) -> None:
        """Write down something that is to leave."""
        self._connection.execute(outbox_table.insert().values(asdict(outgoing) | {"tenant": self._tenant}))

    def get(self, outgoing: str) -> Outgoing | None:
        """Return one that is to leave or has left."""
        which = (outbox_table.c.tenant == self._tenant) & (outbox_table.c.id == outgoing)
        row = self._connection.execute(select(outbox_table).where(which)).mappings().first()
        return None if row is None else Outgoing(**fields(row, "tenant"))

    def put(self, outgoing: Outgoing) -> None:
        """Write how it stands now."""
        which = (outbox_table.c.tenant == self._tenant) & (outbox_table.c.id == outgoing.id)
        self._connection.execute(update(outbox_table).where(which).values(asdict(outgoing)))


class Idempotency:
    """What one tenant's requests made under keys their senders chose."""

    def __init__(self, connection: Connection, tenant: str, *, agent: str | None = None) -> None:
        """Belong to `tenant`, within the transaction of `connection`; those about one `agent` are told apart."""
        self._connection, self._tenant, self._agent = connection, tenant, agent

    def made(self, place: str, key: str, digest: str) -> str | None:
        """
        Return the id of what a request under `key` at `place` made before, or None.

        Raises `Conflict` (`key_reused`) where the earlier request was another: its `digest` differs.
        """
        query = select(idempotency_table.c.digest, idempotency_table.c.made).where(
            idempotency_table.c.tenant == self._tenant,
            idempotency_table.c.place == self._at(place),
            idempotency_table.c.key == key,
        )
        row = self._connection.execute(query).first()
        if row is None:
            return None
        if row.digest != digest:
            raise Conflict(
                "This Idempotency-Key came with another request before.",
                code="key_reused",
                remedy="Use a fresh key for a new request.",
            )
        return str(row.made)

    def knows(self, place: str, key: str) -> bool:
        """Return whether any request under `key` at `place` made something before."""
        query = select(idempotency_table.c.made).where(
            idempotency_table.c.tenant == self._tenant,
            idempotency_table.c.place == self._at(place),
            idempotency_table.c.key == key,
        )
        return self._connection.execute(query).first() is not None

    def keep(self, place: str, key: str, digest: str, made: str, *, at: datetime) -> None:
        """Remember what a request under `key` made."""
        self._connection.execute(
            idempotency_table.insert().values(
                tenant=self._tenant, place=self._at(place), key=key, digest=digest, made=made, created_at=at
            )
        )

    def _at(self, place: str) -> str:
        return place if self._agent is None else f"{place}@{self._agent}"
