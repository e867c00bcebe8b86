"""
What is told of tools: to whoever makes a version, whole; to models, no more than a stranger's words should be.

A server or a document outside says what its tools are called and do. What a version pins of that is cut and cleaned;
the hash covers all that was said.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection as Tx

from freehold.core.tools import Pinned, Tool
from freehold.gateway import connections, tools
from freehold.gateway.connections import Drivers

LONGEST: Final = 1024
"""Letters of a description that a model is shown."""
_WORDS: Final = frozenset({"description", "title"})
"""What is words in a schema; the rest is compared, and stays as it is."""


def told_of(tx: Tx, drivers: Drivers, *, tenant: str | None, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what each of the connections `names` can do for `tenant`, by operation, as a version pins it."""
    found = {name: connections.find(tx, drivers, tenant=tenant, name=name) for name in names}
    return {
        name: {tool.name: _told(tool) for tool in tools.of_connection(tx, drivers, connected)}
        for name, connected in found.items()
        if connected is not None
    }


def listed(tx: Tx, drivers: Drivers, *, tenant: str | None, name: str) -> list[dict[str, Any]]:
    """Return the tools of the connection `name` as `tenant` sees it, by name."""
    connected = connections.find(tx, drivers, tenant=tenant, name=name)
    if connected is None:
        raise connections.missing(name)
    rows = {row.name: row for row in tools.rows_of(tx, connected)}
    usual = {tool.name for tool in tools.always(drivers, connected)}
    return [
        _line(tool, None if tool.name in usual else rows[tool.name])
        for tool in tools.of_connection(tx, drivers, connected)
    ]


def pinned(tool: Tool) -> Pinned:
    """Return what a version pins of `tool`."""
    said = plain(tool.description)
    return Pinned(hash=tools.hash_of(tool), description=said, parameters=arguments(tool.parameters), kind=tool.kind)


def arguments(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of arguments as providers take it: of an object, its descriptions as they may be shown."""
    told: dict[str, Any] = _shown(
        {name: value for name, value in stated.items() if not name.startswith("$") or name == "$defs"}
    )
    properties = told.get("properties")
    return told | {"type": "object", "properties": properties if isinstance(properties, dict) else {}}


def plain(text: str) -> str:
    """Return a description as it may be shown: readable signs and line breaks only, and not too many."""
    readable = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text).strip()
    return readable if len(readable) <= LONGEST else f"{readable[: LONGEST - 1]}…"


def _shown(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: plain(one) if name in _WORDS and isinstance(one, str) else _shown(one)
                for name, one in value.items()
            }
        case list():
            return [_shown(one) for one in value]
        case _:
            return value


def _told(tool: Tool) -> dict[str, Any]:
    return {"apart": bool(tool.how), "pinned": pinned(tool)}


def _line(tool: Tool, row: Any) -> dict[str, Any]:
    shown = pinned(tool)
    return {
        "name": tool.name,
        "description": shown.description,
        "parameters": shown.parameters,
        "kind": tool.kind,
        "hash": shown.hash,
        "apart": bool(tool.how),
        "kind_by": row.kind_by if row else "",
        "seen_at": row.seen_at if row else None,
    }
