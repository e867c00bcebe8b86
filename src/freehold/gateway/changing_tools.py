"""
How what a connection can do changes: told anew by its server or by a document, or a person says what a tool does.

A person's word about what a tool does to the world outlives whatever is told afterwards. A version that pinned
another tool than there is now goes without it until somebody makes a new one.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import delete, insert, select, update

from freehold.audit.canonical import digest
from freehold.core.effects import EffectKind
from freehold.core.errors import Invalid, NotFound
from freehold.core.tools import Tool
from freehold.gateway.connection_tables import tools
from freehold.gateway.connections import Connected, Drivers
from freehold.gateway.keeping import Keep
from freehold.gateway.tools import always, hash_of, rows_of, tool_of

MOST: Final = 1_000
"""Tools of one connection."""
LONGEST: Final = 16 * 1024
"""Letters of a description."""
BIGGEST: Final = 16 * 1024
"""Bytes of a schema."""
DEEPEST: Final = 32
"""How deep a schema is nested."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SHOWN: Final = 50
"""Names that the record has of each kind of change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of the tools of a connection."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    left_out: dict[str, str]
    """Tools that were told of and cannot be had, each with the reason."""


def told_anew(tx: Tx, keep: Keep, drivers: Drivers, connected: Connected, told: Sequence[Tool], *, by: str) -> Change:
    """Let a connection be able to do what is `told` of it, besides what its kind always can."""
    had, left_out = fit(told, {tool.name for tool in always(drivers, connected)})
    before = {row.name: row for row in rows_of(tx, connected)}
    kinds = {name: (row.kind, row.kind_by) for name, row in before.items() if row.kind_by}
    rows = [_row(connected, tool, kinds.get(tool.name), keep) for tool in had]
    hashes = {row["name"]: row["hash"] for row in rows}
    change = Change(
        added=sorted(hashes.keys() - before.keys()),
        removed=sorted(before.keys() - hashes.keys()),
        changed=sorted(name for name, row in before.items() if name in hashes and hashes[name] != row.hash),
        left_out=left_out,
    )
    tx.execute(delete(tools).where(*_of(connected)))
    if rows:
        tx.execute(insert(tools), rows)
    _note(tx, keep, connected, change, before={name: row.hash for name, row in before.items()}, after=hashes, by=by)
    return change


def set_kind(tx: Tx, keep: Keep, connected: Connected, *, name: str, kind: EffectKind, by: str) -> None:
    """Let a tool do `kind` to the world, whatever was told of it; raise `NotFound` if nothing told of such a tool."""
    found = tx.execute(select(tools).where(*_of(connected), tools.c.name == name)).first()
    if found is None:
        raise NotFound(
            f"Nothing told of a tool {name!r} of {connected.name!r}.",
            code="unknown_tool",
            remedy=f"See what there is with: freehold connection tools {connected.name}",
        )
    now = replace(tool_of(found), kind=kind)
    values = {"kind": kind, "kind_by": by, "hash": hash_of(now)}
    tx.execute(update(tools).where(*_of(connected), tools.c.name == name).values(values))
    keep.note(
        tx,
        connected.owner or None,
        actor=by,
        action="tools.change",
        subject=connected.name,
        detail={"tool": name, "kind": str(kind), "was": str(found.kind)},
        before=found.hash,
        after=values["hash"],
    )


def kind_of(word: str) -> EffectKind:
    """Return what a tool does to the world, as `word` says it."""
    if word not in set(EffectKind):
        raise Invalid(
            f"{word[:40]!r} is nothing that a tool does to the world.",
            code="bad_kind",
            remedy=f"Use one of {', '.join(EffectKind)}.",
        )
    return EffectKind(word)


def fit(told: Sequence[Tool], usual: set[str]) -> tuple[list[Tool], dict[str, str]]:
    """Return the tools that can be had beside the `usual` ones, and of the others why they cannot."""
    had: dict[str, Tool] = {}
    left_out: dict[str, str] = {}
    for tool in told:
        why = _unfit(tool, usual, had) or ("there are too many" if len(had) >= MOST else "")
        if not why:
            had[tool.name] = tool
        elif len(left_out) < MOST:
            left_out[_readable(tool.name)] = why
    return list(had.values()), left_out


def _unfit(tool: Tool, usual: set[str], taken: Mapping[str, Tool]) -> str:  # noqa: PLR0911 - one per reason
    if not _NAME.fullmatch(tool.name):
        return "its name is no name"
    if tool.name in usual or tool.name in taken:
        return "there is another one of this name"
    if len(tool.description) > LONGEST:
        return "its description is too long"
    if _deeper(tool.parameters, DEEPEST) or _deeper(tool.how, DEEPEST):
        return "its schema is nested too deeply"
    try:
        size = len(json.dumps(dict(tool.parameters), ensure_ascii=False).encode())
        hash_of(tool)
    except (Invalid, ValueError, TypeError, RecursionError):
        return "what it says of itself cannot be written down"
    return "its schema is too big" if size > BIGGEST else ""


def _deeper(value: object, left: int) -> bool:
    within = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return not left or any(_deeper(one, left - 1) for one in within)


def _readable(name: str) -> str:
    return "".join(sign for sign in name if sign.isprintable()).encode("utf-8", "replace").decode()[:80]


def _row(connected: Connected, told: Tool, said: tuple[EffectKind, str] | None, keep: Keep) -> dict[str, Any]:
    kind, kind_by = said or (told.kind, "")
    tool = replace(told, kind=kind)
    return {
        "tenant": connected.owner,
        "connection": connected.name,
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "kind": kind,
        "kind_by": kind_by,
        "how": dict(tool.how),
        "hash": hash_of(tool),
        "seen_at": keep.now(),
    }


def _note(
    tx: Tx,
    keep: Keep,
    connected: Connected,
    change: Change,
    *,
    before: Mapping[str, str],
    after: Mapping[str, str],
    by: str,
) -> None:
    """Write the change down; that somebody looked and found all as it was is written down too."""
    named = {"added": change.added, "removed": change.removed, "changed": change.changed}
    detail: dict[str, Any] = {what: names[:_SHOWN] for what, names in named.items() if names}
    keep.note(
        tx,
        connected.owner or None,
        actor=by,
        action="tools.change",
        subject=connected.name,
        detail=detail | {"tools": len(after)},
        before=digest(dict(before)),
        after=digest(dict(after)),
    )


def _of(connected: Connected) -> tuple[Any, Any]:
    return tools.c.tenant == connected.owner, tools.c.connection == connected.name
