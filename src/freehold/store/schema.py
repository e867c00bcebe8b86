"""
What the tables of the database have in common.

Each table says whose its rows are, what class of data they hold and how long they are kept; export,
erasure and backup walk that list, and a test fails on a table that does not say it.
"""

import dataclasses
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, Literal

from sqlalchemy import CheckConstraint, Column, MetaData, RowMapping, Table, Text
from sqlalchemy.schema import SchemaItem

metadata: Final = MetaData()

DataClass = Literal["identity", "configuration", "content", "operation", "evidence"]
Retention = Literal["tenant", "run", "days:7", "days:30", "forever"]
"""How long rows stay: as long as the tenant, as long as their run, some days, or for ever."""


def table(name: str, *items: SchemaItem, tenant: str, data_class: DataClass, retention: Retention) -> Table:
    """Define a table of the database; `tenant` is the column that says whose a row is, or `platform`."""
    return Table(name, metadata, *items, info={"tenant": tenant, "data_class": data_class, "retention": retention})


def tenant_column(**options: Any) -> Column[str]:
    """Return the column that says whose a row is."""
    return Column("tenant", Text, nullable=False, **options)


def one_of(column: str, codes: Iterable[StrEnum]) -> CheckConstraint:
    """Let the database itself refuse a state that the state table does not know."""
    allowed = ", ".join(f"'{code}'" for code in codes)
    return CheckConstraint(f"{column} in ({allowed})", name=f"{column}_known")


def fields(row: RowMapping, *without: str) -> dict[str, Any]:
    """Return a row as keyword arguments for its noun, `without` some columns."""
    return {name: value for name, value in row.items() if name not in without}


def values(noun: Any) -> dict[str, Any]:
    """Return the fields of a noun as they go into its row, for a statement that was put together before."""
    return {field.name: getattr(noun, field.name) for field in dataclasses.fields(noun)}
