"""
The sealer: it numbers what was written and chains it, per tenant, in the order it was written.

One transaction takes a batch. Whoever asks for a whole record (an export, a signed head) may seal too: the
transaction is the only writer, and each row gets its place once.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Table, Update, bindparam, func, select, update

from freehold.audit.as_stored import as_stored
from freehold.audit.canonical import canonical, digest
from freehold.audit.chain import FACTS, Head, after, start
from freehold.core.errors import Invalid
from freehold.store.db import Database

EVERY: Final = 0.5
"""Seconds between two looks for rows without a place."""
BATCH: Final = 500
"""How many rows one transaction takes; others want to write too."""
_TELLING: Final = ("at", "actor", "action", "subject", *FACTS)
_HASH: Final = re.compile("[0-9a-f]{64}")


def seal(database: Database, table: Table, *, store: str) -> int:
    """Give all rows that wait their place and return how many that were; looking for none takes no lock."""
    done = 0
    while pending(database, table):
        with database.write() as tx:
            done += seal_batch(tx, table, store=store)
    return done


def pending(database: Database, table: Table) -> bool:
    """Return whether there are rows without a place."""
    with database.read() as tx:
        return waits(tx, table)


def waits(tx: Connection, table: Table) -> bool:
    """Return whether there are rows without a place."""
    return tx.execute(_any(table)).first() is not None


def seal_batch(tx: Connection, table: Table, *, store: str, limit: int = BATCH) -> int:
    """Give the first rows that wait their place inside the transaction `tx`, and return how many that were."""
    with as_stored(tx):
        return _placed(tx, table, tx.execute(_waiting(table), {"most": limit}).all(), store=store)


def _placed(tx: Connection, table: Table, waiting: Sequence[Row[Any]], *, store: str) -> int:
    ends: dict[str, Head] = {}
    places: list[dict[str, Any]] = []
    for row in waiting:
        # No tenant has such a name: it is spelt out, so another may read the same. It gets a batch of its own.
        alone = "\\" in row.tenant
        if alone and places:
            break
        before = ends.get(row.tenant) or _before(tx, table, row, store=store)
        end = ends[row.tenant] = after(before, _told(row))
        places.append({"at_position": row.position, "seq": end.seq, "prev": before.hash, "hash": end.hash})
        if alone:
            break
    if places:
        tx.execute(_place(table), places)
    return len(places)


def _before(tx: Connection, table: Table, row: Row[Any], *, store: str) -> Head:
    """Return the end of the chain of `row`, found by the bytes that stand there."""
    last = tx.execute(_last_of(table), {"of_position": row.position}).first()
    if last is None:
        return start(store, row.tenant)
    # What is no hash was put there later, and verifying tells of it; what follows needs one to go on from.
    hashed = last.hash if _HASH.fullmatch(str(last.hash)) else digest(str(last.hash))
    return Head(store=store, tenant=row.tenant, seq=last.seq, hash=hashed)


def head(tx: Connection, table: Table, *, store: str, tenant: str) -> Head:
    """Return the end of one chain."""
    with as_stored(tx):
        last = tx.execute(_last(table), {"of_tenant": tenant}).first()
    return Head(store=store, tenant=tenant, seq=last.seq, hash=last.hash) if last else start(store, tenant)


def heads(tx: Connection, table: Table, *, store: str) -> list[Head]:
    """Return the end of every chain of a store."""
    ends = select(table.c.tenant, func.max(table.c.seq).label("seq")).where(table.c.seq.is_not(None))
    last = ends.group_by(table.c.tenant).subquery()
    where = (table.c.tenant == last.c.tenant, table.c.seq == last.c.seq)
    wanted = select(table.c.tenant, table.c.seq, table.c.hash).where(*where).order_by(table.c.tenant)
    with as_stored(tx):
        rows = tx.execute(wanted).all()
    return [Head(store=store, tenant=row.tenant, seq=row.seq, hash=row.hash) for row in rows]


def hash_at(tx: Connection, table: Table, *, tenant: str, seq: int) -> str:
    """Return the hash of one link; empty where there is none."""
    with as_stored(tx):
        return str(tx.execute(_at(table), {"of_tenant": tenant, "of_seq": seq}).scalar() or "")


def _told(row: Row[Any]) -> dict[str, Any]:
    return {"detail": detail_of(row)} | {name: getattr(row, name) for name in _TELLING}


def detail_of(row: Row[Any]) -> dict[str, Any]:
    """Return what a row tells further."""
    try:
        found = json.loads(row.detail)
        written = canonical(found).decode() == row.detail
    except (Invalid, RecursionError, ValueError):
        found, written = None, False
    # Anything else somebody put there: its hash will say so, and it keeps no other row from getting its place.
    return found if written and isinstance(found, dict) else {"unreadable": str(row.detail)}


# Put together once each: they are asked twice a second.


@cache
def _any(table: Table) -> Select[tuple[int]]:
    # In this order, or SQLite reads the whole of another index to find that there is nothing.
    return select(table.c.position).where(table.c.seq.is_(None)).order_by(table.c.position).limit(1)


@cache
def _waiting(table: Table) -> Select[Any]:
    return select(table).where(table.c.seq.is_(None)).order_by(table.c.position).limit(bindparam("most"))


@cache
def _place(table: Table) -> Update:
    return update(table).where(table.c.position == bindparam("at_position"), table.c.seq.is_(None))


@cache
def _last(table: Table) -> Select[tuple[int, str]]:
    known = (table.c.tenant == bindparam("of_tenant"), table.c.seq.is_not(None))
    return select(table.c.seq, table.c.hash).where(*known).order_by(table.c.seq.desc()).limit(1)


@cache
def _last_of(table: Table) -> Select[tuple[int, str]]:
    row = table.alias()
    which = select(row.c.tenant).where(row.c.position == bindparam("of_position")).scalar_subquery()
    known = (table.c.tenant == which, table.c.seq.is_not(None))
    return select(table.c.seq, table.c.hash).where(*known).order_by(table.c.seq.desc()).limit(1)


@cache
def _at(table: Table) -> Select[tuple[str]]:
    return select(table.c.hash).where(table.c.tenant == bindparam("of_tenant"), table.c.seq == bindparam("of_seq"))
