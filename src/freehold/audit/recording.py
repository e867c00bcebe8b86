"""
The record in a database: its tables, and how a row gets in.

Every store that acts keeps a record of its own; the table is made for any `MetaData`. A row is written inside the
transaction of what it tells about, so that there is no act without its row; its number and its place in the chain
it gets within a second (`sealing`). Until then nothing but its position orders it.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypedDict

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    insert,
)
from sqlalchemy import column as named
from sqlalchemy.schema import UniqueConstraint
from typing_extensions import Unpack

from freehold.audit.asking import asking
from freehold.audit.canonical import canonical
from freehold.audit.chain import FACTS
from freehold.store.prepared import Prepared

PLATFORM: Final = ""
"""The tenant of the platform's own chain."""

TABLE: Final = "audit"
_NOTHING: Final = dict.fromkeys(FACTS, "")
_SAID: Final = ("tenant", "at", "actor", "action", "subject", "detail")


class Facts(TypedDict, total=False):
    """What a row may tell beyond who did what to what; see `chain.Link`."""

    way: str
    run: str
    request: str
    verdict: str
    policy: str
    before: str
    after: str
    arguments: str
    approver: str
    result: str
    text: str


def audit_table(metadata: MetaData) -> Table:
    """Declare the record's table in `metadata`."""
    return Table(
        TABLE,
        metadata,
        Column("position", Integer, primary_key=True, autoincrement=True),
        Column("tenant", String(40), nullable=False),  # empty: the platform's chain
        Column("at", BigInteger, nullable=False),  # milliseconds since the epoch
        Column("actor", String(200), nullable=False),
        Column("action", String(80), nullable=False),
        Column("subject", String(300), nullable=False),
        Column("detail", Text, nullable=False),  # canonical JSON
        *(Column(fact, Text, nullable=False) for fact in FACTS),
        # The sealer's: empty until the row has its place in the chain.
        Column("seq", Integer),
        Column("prev", String(64)),
        Column("hash", String(64)),
        UniqueConstraint("tenant", "seq", name="audit_one_place"),
        # Only what waits for its place is in it, so that looking for nothing costs nothing.
        Index(
            "audit_unsealed", "position", sqlite_where=named("seq").is_(None), postgresql_where=named("seq").is_(None)
        ),
        info={"tenant": "tenant", "data_class": "evidence", "retention": "forever"},
    )


def record(
    tx: Connection,
    table: Table,
    *,
    at: int,
    tenant: str | None,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
    **facts: Unpack[Facts],
) -> int:
    """
    Write a row about `tenant` (none: the platform) inside the transaction `tx`, and return its position.

    By which way and in which request is taken from `asking` unless `facts` say it.
    """
    told = _told(at, tenant, actor, action, subject, detail) | facts
    written = tx.execute(_append(table), told)
    return int((written.inserted_primary_key or (0,))[0])


def append(
    tx: Connection,
    table: Table,
    *,
    at: int,
    tenant: str | None,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
    **facts: Unpack[Facts],
) -> None:
    """Do as `record` does where nobody asks for the position, in a fraction of the time and at the transaction's end."""
    _prepared(table).later(tx, _told(at, tenant, actor, action, subject, detail) | facts)


def _told(
    at: int, tenant: str | None, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None
) -> dict[str, Any]:
    now = asking.get()
    return _NOTHING | {
        "way": now.way,
        "request": now.request,
        "tenant": tenant or PLATFORM,
        "at": at,
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": canonical(detail or {}).decode(),
    }


@cache
def _append(table: Table) -> Insert:
    """Return the statement, put together once: every act says it."""
    return insert(table).values(dict.fromkeys(("seq", "prev", "hash")))


@cache
def _prepared(table: Table) -> Prepared:
    return Prepared(insert(table).values({name: bindparam(name) for name in (*_SAID, *FACTS)}))
