"""What stands behind many callers at once: their rows, in a handful of statements however many they are."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any, Final

from sqlalchemy import Column, Connection, RowMapping, select

from freehold.core.people import Member, Person, Session
from freehold.core.tenants import Key, TenantState
from freehold.store.people import member_table, person_table
from freehold.store.schema import fields
from freehold.store.sessions import session_table
from freehold.store.tenants import key_table, tenant_table

AT_ONCE: Final = 500
"""Ids in one statement."""


class Standing:
    """The rows of many callers as of one moment, by their ids; what is not there is left out."""

    def __init__(self, connection: Connection) -> None:
        """Read within the transaction of `connection`."""
        self._connection = connection

    def sessions(self, ids: Collection[str]) -> dict[str, Session]:
        """Return the sessions with these ids."""
        return {row["id"]: Session(**fields(row)) for row in self._rows(session_table.c.id, ids)}

    def people(self, ids: Collection[str]) -> dict[str, Person]:
        """Return the people with these ids."""
        return {row["id"]: Person(**fields(row)) for row in self._rows(person_table.c.id, ids)}

    def places(self, people: Collection[str]) -> dict[str, list[Member]]:
        """Return what these people are in all tenants, by person; in one that was deleted nobody is anything."""
        found: dict[str, list[Member]] = defaultdict(list)
        rows = [Member(**fields(row)) for row in self._rows(member_table.c.person, people)]
        tenants = self._rows(tenant_table.c.id, {member.tenant for member in rows})
        there = {row["id"] for row in tenants if row["state"] is not TenantState.DELETED}
        for member in rows:
            if member.tenant in there:
                found[member.person].append(member)
        return found

    def keys(self, ids: Collection[str]) -> dict[str, Key]:
        """Return the keys with these ids."""
        rows = self._rows(key_table.c.id, ids)
        return {row["id"]: Key(**fields(row, "scopes"), scopes=frozenset(row["scopes"])) for row in rows}

    def _rows(self, column: Column[Any], ids: Collection[str]) -> Iterator[RowMapping]:
        wanted = sorted(ids)
        for start in range(0, len(wanted), AT_ONCE):
            query = select(column.table).where(column.in_(wanted[start : start + AT_ONCE]))
            yield from self._connection.execute(query).mappings()
