"""
The record in a database: its table, how a link gets in, and how the whole comes out again.

Every store that acts keeps a record of its own; the table is made for any `MetaData`. A link is written
inside the transaction of what it tells about, so that there is no act without its row.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Insert,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Text,
    bindparam,
    insert,
    select,
)

from freehold.audit.canonical import canonical
from freehold.audit.chain import Head, Link, Report, link, start, verify
from freehold.core.errors import Invalid

PLATFORM: Final = ""
"""The tenant of the platform's own chain."""

TABLE: Final = "audit"


def audit_table(metadata: MetaData) -> Table:
    """Declare the record's table in `metadata`."""
    return Table(
        TABLE,
        metadata,
        Column("tenant", String(40), primary_key=True),  # empty: the platform's chain
        Column("seq", Integer, primary_key=True, autoincrement=False),
        Column("at", BigInteger, nullable=False),  # milliseconds since the epoch
        Column("actor", String(200), nullable=False),
        Column("action", String(80), nullable=False),
        Column("subject", String(300), nullable=False),
        Column("detail", Text, nullable=False),  # canonical JSON
        Column("prev", String(64), nullable=False),
        Column("hash", String(64), nullable=False),
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
) -> Link:
    """
    Append a link to the chain of `tenant` (none: the platform's) inside the transaction `tx`.

    The transaction must be the only writer, as `Database.write` is; two that raced for one place in the
    chain would collide on the primary key and one would be undone.
    """
    chain = tenant or PLATFORM
    added = link(_head(tx, table, chain), at=at, actor=actor, action=action, subject=subject, detail=detail or {})
    tx.execute(_append(table), asdict(added) | {"detail": canonical(added.detail).decode()})
    return added


def links(tx: Connection, table: Table, *, tenant: str | None, after: int = 0, limit: int = 500) -> list[Link]:
    """Return links of one chain, in order, from behind `after`."""
    where = (table.c.tenant == (tenant or PLATFORM), table.c.seq > after)
    return [_link(row) for row in tx.execute(select(table).where(*where).order_by(table.c.seq).limit(limit))]


def every_link(tx: Connection, table: Table) -> Iterator[Link]:
    """Give all links of all chains, chain by chain, without holding them in memory."""
    for row in tx.execution_options(yield_per=500).execute(select(table).order_by(table.c.tenant, table.c.seq)):
        yield _link(row)


def to_line(entry: Link) -> str:
    """Return `entry` as one line of an export."""
    return canonical(asdict(entry)).decode()


def from_line(line: str) -> Link:
    """Return the link on one line of an export; raise `Invalid` where it is none."""
    try:
        fields = json.loads(line)
        return Link(**(fields | {"detail": dict(fields["detail"]), "seq": int(fields["seq"])}))
    except (ValueError, TypeError, KeyError) as error:
        raise Invalid(
            "This is not a line of an audit export.",
            code="bad_export",
            remedy="Give the file as it was exported, one JSON object per line.",
        ) from error


def verify_file(path: Path, *, saved: Iterable[Head] = ()) -> Report:
    """Verify an exported record without any database."""
    with path.open(encoding="utf-8") as file:
        return verify((from_line(line) for line in file if line.strip()), saved=saved)


@cache
def _last(table: Table) -> Select[tuple[int, str]]:
    """Return the question for the end of a chain, put together once: every act asks it."""
    of_tenant = table.c.tenant == bindparam("of_tenant")
    return select(table.c.seq, table.c.hash).where(of_tenant).order_by(table.c.seq.desc()).limit(1)


@cache
def _append(table: Table) -> Insert:
    return insert(table)


def _head(tx: Connection, table: Table, tenant: str) -> Head:
    last = tx.execute(_last(table), {"of_tenant": tenant}).first()
    return Head(tenant=tenant, seq=last.seq, hash=last.hash) if last else start(tenant)


def _link(row: Row[Any]) -> Link:
    try:
        detail = json.loads(row.detail)
    except ValueError:
        detail = {"unreadable": row.detail}  # somebody changed it: its hash will say so
    return Link(**(row._asdict() | {"detail": detail}))
