"""How a table of the gateway's own store is declared: with whose its rows are, what they hold and how long."""

from typing import Final

from sqlalchemy import MetaData, Table
from sqlalchemy.schema import SchemaItem

from freehold.store.schema import DataClass, Retention, tenant_column

metadata: Final = MetaData()


def declared(name: str, *items: SchemaItem, data_class: DataClass, retention: Retention) -> Table:
    """Return the table `name`: each row is a tenant's, or with empty text there the platform's."""
    info = {"tenant": "tenant", "data_class": data_class, "retention": retention}
    return Table(name, metadata, tenant_column(primary_key=True), *items, info=info)
