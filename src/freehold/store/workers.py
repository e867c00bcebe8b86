"""Which workers there are and when each was last heard of."""

from datetime import datetime

from sqlalchemy import Column, Connection, Text, delete, select, update

from freehold.store.schema import table
from freehold.store.types import Moment

worker_table = table(
    "workers",
    Column("id", Text, primary_key=True),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    tenant="platform",
    data_class="operation",
    retention="days:7",
)


class Workers:
    """The workers of the installation."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def join(self, worker: str, *, at: datetime) -> None:
        """Write down that a worker started."""
        self._connection.execute(worker_table.insert().values(id=worker, started_at=at, seen_at=at))

    def seen(self, worker: str, *, at: datetime) -> None:
        """Write down a sign of life."""
        self._connection.execute(update(worker_table).where(worker_table.c.id == worker).values(seen_at=at))

    def silent(self, since: datetime) -> list[str]:
        """Return the workers that gave no sign of life since then."""
        return list(self._connection.execute(select(worker_table.c.id).where(worker_table.c.seen_at < since)).scalars())

    def all(self) -> list[str]:
        """Return all workers that joined and did not leave."""
        return list(self._connection.execute(select(worker_table.c.id).order_by(worker_table.c.id)).scalars())

    def leave(self, worker: str) -> None:
        """Forget a worker."""
        self._connection.execute(delete(worker_table).where(worker_table.c.id == worker))

    def newest_sign(self) -> datetime | None:
        """Return when any worker was last heard of."""
        query = select(worker_table.c.seen_at).order_by(worker_table.c.seen_at.desc()).limit(1)
        return self._connection.execute(query).scalar()
