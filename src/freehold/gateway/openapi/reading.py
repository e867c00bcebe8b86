"""
An OpenAPI document as tools: one per operation, called as the document calls it.

Servers and security of the document mean nothing here: where a connection leads, and with which credential, its owner
said. How a tool is called (`how`) is the method, the path below the connection's address, and where each argument goes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from freehold.core.effects import EffectKind
from freehold.core.tools import Tool
from freehold.gateway.openapi.arguments import NotTold, arguments_of
from freehold.gateway.openapi.schemas import DEEPEST, Following, TooMuch, bad

MOST_OPERATIONS: Final = 1_000
MOST_SCHEMAS: Final = 300_000
"""Schemas that are expanded for one document."""
MOST_FOR_ONE: Final = 3_000
BIGGEST: Final = 16 * 1024
"""Bytes of one tool's schema."""
LONGEST: Final = 1_024
KIND: Final = "x-freehold-kind"
KINDS: Final = MappingProxyType(
    {
        "get": EffectKind.READ,
        "head": EffectKind.READ,
        "put": EffectKind.OWN_WRITE,
        "patch": EffectKind.OWN_WRITE,
        "post": EffectKind.MESSAGE,
        "delete": EffectKind.DESTROY,
    }
)
"""What an operation does where the document does not say."""
_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]+")


def tools_of(document: Mapping[str, Any]) -> list[Tool]:
    """
    Return the operations of `document` as tools; those that need a cookie or a body that is no JSON are left out.

    Raises `Invalid` (`bad_document`).
    """
    _check(document)
    follow, taken, found = Following(document, most=0), set(KINDS), []
    left = MOST_SCHEMAS
    for n, (path, method, shared, operation) in enumerate(_operations(document, follow)):
        if n >= MOST_OPERATIONS:
            raise bad(f"it has more than {MOST_OPERATIONS} operations")
        name = _name(operation, method, path, taken)
        told, spent = _tool(follow, name, path, method, shared, operation, left)
        left -= spent
        if told is not None:
            taken.add(name)
            found.append(told)
    if not found:
        raise bad("there is no operation in it that could be a tool")
    return found


def _check(document: Mapping[str, Any]) -> None:
    stated = document.get("openapi")
    if "swagger" in document:
        raise bad("it is Swagger 2, which has to be converted first")
    if not isinstance(stated, str) or not re.fullmatch(r"3\.[01](\.[0-9]{1,3})?", stated):
        raise bad("it does not say `openapi: 3.0` or 3.1")
    if not isinstance(document.get("paths"), Mapping):
        raise bad("it has no paths")


def _operations(document: Mapping[str, Any], follow: Following) -> Iterator[tuple[str, str, list[Any], dict[str, Any]]]:
    for path, stated in document["paths"].items():
        if not str(path).startswith("/"):
            continue  # an extension
        item = follow.target(stated)
        shared = item.get("parameters")
        for method in KINDS:
            if method in item:
                yield str(path), method, shared if isinstance(shared, list) else [], follow.target(item[method])


def _tool(
    follow: Following, name: str, path: str, method: str, shared: list[Any], operation: dict[str, Any], left: int
) -> tuple[Tool | None, int]:
    """Return a tool with as much of its schemas as there is room for, and how many schemas were looked at for it."""
    spent = 0
    for deepest in (DEEPEST, 4, 2, 1):
        follow.left = most = max(0, min(MOST_FOR_ONE, left - spent))
        try:
            taken = arguments_of(follow, path, shared, operation, deepest=deepest)
        except TooMuch:
            spent += most - follow.left
            continue
        except NotTold:
            return None, spent + most - max(0, follow.left)
        spent += most - follow.left
        if len(json.dumps(taken.schema)) <= BIGGEST:
            how = {"method": method.upper(), "path": path} | taken.how
            about, kind = _about(operation, method, path), _kind(operation, method)
            return Tool(name=name, description=about, parameters=taken.schema, kind=kind, how=how), spent
    return None, spent


def _name(operation: Mapping[str, Any], method: str, path: str, taken: set[str]) -> str:
    stated = operation.get("operationId")
    text = stated if isinstance(stated, str) and stated.strip() else f"{method}_{path.strip('/')}"
    name = _OTHER.sub("_", text).strip("_-")[:60] or method
    for called in (name, *(f"{name[:55]}_{n}" for n in range(2, MOST_OPERATIONS + 2))):
        if called not in taken:
            return called
    raise bad("its operations cannot be told apart")


def _about(operation: Mapping[str, Any], method: str, path: str) -> str:
    said = [str(operation[name]).strip() for name in ("summary", "description") if isinstance(operation.get(name), str)]
    text = "\n".join(one for one in dict.fromkeys(said) if one)
    return (text or f"{method.upper()} {path}")[:LONGEST]


def _kind(operation: Mapping[str, Any], method: str) -> EffectKind:
    stated = operation.get(KIND)
    if stated is None:
        return KINDS[method]
    if not isinstance(stated, str) or stated not in set(EffectKind):
        raise bad(f"{KIND} is {str(stated)[:40]!r}, and not one of {', '.join(EffectKind)}")
    return EffectKind(stated)
