"""The sessions of people, as hashes of what their browsers show."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy import Boolean, Column, ColumnElement, Connection, Text, bindparam, or_, select, update

from freehold.core.people import Session, SignIn
from freehold.store.schema import fields, one_of, table
from freehold.store.types import Coded, Moment

session_table = table(
    "sessions",
    Column("id", Text, primary_key=True),
    Column("person", Text, nullable=False, index=True),
    Column("way", Coded(SignIn), nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("strong", Boolean, nullable=False),
    Column("client", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("seal", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
    one_of("way", SignIn),
    tenant="platform",
    data_class="identity",
    retention="days:30",
)

# Spelt once: every request of a person passes here.
_SESSION: Final = select(session_table).where(
    session_table.c.hash == bindparam("of_hash"), session_table.c.ended_at.is_(None)
)


class Sessions:
    """All sessions of all people, as hashes."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def add(self, session: Session) -> None:
        """Write down a new one."""
        self._connection.execute(session_table.insert().values(asdict(session)))

    def by_hash(self, hash: str) -> Session | None:  # noqa: A002 - the column's word
        """Return the session whose cookie has this hash, if it was not ended."""
        row = self._connection.execute(_SESSION, {"of_hash": hash}).mappings().first()
        return None if row is None else Session(**fields(row))

    def of(self, person: str) -> list[Session]:
        """Return a person's sessions that were not ended, newest first; some may have run out."""
        query = select(session_table).where(session_table.c.person == person, session_table.c.ended_at.is_(None))
        rows = self._connection.execute(query.order_by(session_table.c.id.desc())).mappings()
        return [Session(**fields(row)) for row in rows]

    def whose(self) -> list[str]:
        """Return the ids of the people who have sessions that were not ended."""
        query = select(session_table.c.person).where(session_table.c.ended_at.is_(None)).distinct()
        return list(self._connection.execute(query.order_by(session_table.c.person)).scalars())

    def seen(self, session: str, *, at: datetime) -> None:
        """Write down that a session is in use."""
        self._connection.execute(update(session_table).where(session_table.c.id == session).values(seen_at=at))

    def lapsed(self, at: datetime, *, idle_since: datetime) -> bool:
        """Return whether there is anything to `lapse`."""
        query = select(session_table.c.id).where(*_over(at, idle_since)).limit(1)
        return self._connection.execute(query).first() is not None

    def lapse(self, at: datetime, *, idle_since: datetime) -> None:
        """End, for good, the sessions that have run out by now or that nobody has used since `idle_since`."""
        self._connection.execute(update(session_table).where(*_over(at, idle_since)).values(ended_at=at))

    def end(self, sessions: list[str], *, at: datetime) -> None:
        """End these sessions for good."""
        which = session_table.c.id.in_(sessions), session_table.c.ended_at.is_(None)
        self._connection.execute(update(session_table).where(*which).values(ended_at=at))


def _over(at: datetime, idle_since: datetime) -> tuple[ColumnElement[bool], ...]:
    over = or_(session_table.c.expires_at <= at, session_table.c.seen_at <= idle_since)
    return session_table.c.ended_at.is_(None), over
