"""
What connections can do: what their kind always can, and what a server or a document told of them.

A tool is known by the hash of all it says. A version pins the hashes of the tools it was granted; one that says
something else since is not carried out for that version.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, select

from freehold.audit.canonical import digest
from freehold.core.errors import NotFound
from freehold.core.tools import Tool
from freehold.gateway import connections
from freehold.gateway.connection_tables import tools
from freehold.gateway.connections import Connected, Drivers

_FIND = select(tools).where(
    tools.c.tenant == bindparam("of_owner"),
    tools.c.connection == bindparam("of_connection"),
    tools.c.name == bindparam("of_name"),
)


def hash_of(tool: Tool) -> str:
    """Return the hash by which versions pin `tool`."""
    return digest(
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
            "kind": tool.kind,
            "how": dict(tool.how),
        }
    )


def find(tx: Tx, drivers: Drivers, connected: Connected, name: str) -> Tool | None:
    """Return the tool `name` of a connection, if it can do that."""
    driver = drivers.connectors.get(connected.kind)
    if driver is None:
        return None
    for tool in driver.tools(connected.config):
        if tool.name == name:
            return tool
    which = {"of_owner": connected.owner, "of_connection": connected.name, "of_name": name}
    row = tx.execute(_FIND, which).first()
    return None if row is None else tool_of(row)


def of_connection(tx: Tx, drivers: Drivers, connected: Connected) -> Sequence[Tool]:
    """Return all that a connection can do, by name; what its kind always can goes before what it was told of."""
    told = {row.name: tool_of(row) for row in rows_of(tx, connected)}
    found = told | {tool.name: tool for tool in always(drivers, connected)}
    return [found[name] for name in sorted(found)]


def rows_of(tx: Tx, connected: Connected) -> Sequence[Any]:
    """Return the rows of all that a connection was told of."""
    here = tools.c.tenant == connected.owner, tools.c.connection == connected.name
    return tx.execute(select(tools).where(*here).order_by(tools.c.name)).all()


def always(drivers: Drivers, connected: Connected) -> Sequence[Tool]:
    """Return what every connection like this can do."""
    driver = drivers.connectors.get(connected.kind)
    return driver.tools(connected.config) if driver else ()


def missing(connected: Connected | None, connection: str, name: str) -> NotFound:
    """Return the error that tells there is no such tool, or not even the connection."""
    if connected is None:
        return connections.missing(connection)
    return NotFound(
        f"The connection {connection!r} has no tool {name!r}.",
        code="unknown_tool",
        remedy=f"See what it can do with: freehold connection tools {connection}",
    )


def tool_of(row: Any) -> Tool:
    """Return the tool that a row tells of."""
    return Tool(name=row.name, description=row.description, parameters=row.parameters, kind=row.kind, how=row.how)
