"""The record read back: in pages with filters, as it was written, or chain by chain as it was sealed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, select

from freehold.audit.as_stored import as_stored
from freehold.audit.chain import FACTS, Head, Link, line_of
from freehold.audit.recording import PLATFORM
from freehold.audit.sealing import detail_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows somebody wants to see; what is empty does not matter."""

    actor: str = ""
    action: str = ""
    """An action, or its noun: `key` is every `key.…`."""
    subject: str = ""
    run: str = ""
    since: int = 0
    """Milliseconds since the epoch."""


EVERYTHING = Wanted()


def rows(
    tx: Connection,
    table: Table,
    *,
    store: str,
    tenant: str | None,
    after: int = 0,
    limit: int = 500,
    wanted: Wanted = EVERYTHING,
    last: bool = False,
) -> list[dict[str, Any]]:
    """Return rows of one tenant in the order they were written, those that wait for their place too; or the `last`."""
    where = [table.c.tenant == (tenant or PLATFORM), table.c.position > after, *_conditions(table, wanted)]
    order = table.c.position.desc() if last else table.c.position
    with as_stored(tx):
        found = [_shown(row, store) for row in tx.execute(select(table).where(*where).order_by(order).limit(limit))]
    return found[::-1] if last else found


def links(
    tx: Connection, table: Table, *, store: str, tenant: str | None, after: int = 0, limit: int = 500
) -> list[Link]:
    """Return sealed links of one chain, in order, from behind `after`."""
    where = (table.c.tenant == (tenant or PLATFORM), table.c.seq > after)
    with as_stored(tx):
        found = tx.execute(select(table).where(*where).order_by(table.c.seq).limit(limit)).all()
    return [link_in(row, store) for row in found]


def every_link(tx: Connection, table: Table, *, store: str) -> Iterator[Link]:
    """Give all sealed links of all chains, chain by chain, without holding them in memory."""
    sealed: Select[Any] = select(table).where(table.c.seq.is_not(None)).order_by(table.c.tenant, table.c.seq)
    with as_stored(tx):
        for row in tx.execution_options(yield_per=500).execute(sealed):
            yield link_in(row, store)


def lines(tx: Connection, table: Table, end: Head, *, after: int, limit: int) -> list[dict[str, Any]]:
    """Return the lines of an export from behind `after`, up to the head `end`, each with its `position` beside."""
    where = (table.c.tenant == end.tenant, table.c.seq > after, table.c.seq <= end.seq)
    with as_stored(tx):
        found = tx.execute(select(table).where(*where).order_by(table.c.seq).limit(limit)).all()
    return [line_of(link_in(row, end.store)) | {"position": row.position} for row in found]


def link_in(row: Row[Any], store: str) -> Link:
    """Return the link that a sealed row is."""
    told = {name: value for name, value in row._asdict().items() if name not in {"position", "detail"}}
    return Link(store=store, detail=detail_of(row), **told)


def _conditions(table: Table, wanted: Wanted) -> Iterator[Any]:
    for name in ("actor", "subject", "run"):
        if value := getattr(wanted, name):
            yield table.c[name] == value
    if wanted.action:
        yield table.c.action.startswith(f"{wanted.action}.", autoescape=True) | (table.c.action == wanted.action)
    if wanted.since:
        yield table.c.at >= wanted.since


def _shown(row: Row[Any], store: str) -> dict[str, Any]:
    told = row._asdict() | {"store": store, "detail": detail_of(row)}
    return {name: value for name, value in told.items() if value or name not in FACTS}
