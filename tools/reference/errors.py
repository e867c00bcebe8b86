"""The page of all error codes, gathered from the places that say them."""

import ast
from collections.abc import Iterable, Mapping
from typing import Any, Final

from freehold.core import errors
from freehold.drivers.connector.webhook import webhook_trouble
from freehold.gateway.calls.upstream import provider_trouble
from freehold.gateway.outward.client import Trouble, trouble
from freehold.gateway.ports import NotSent
from tools.reference.markdown import SOURCE, page, rows

_AMONG: Final = {NotSent.__name__: errors.Unavailable.__name__}
"""Kinds that nobody outside the gateway tells apart."""


def error_codes() -> dict[str, set[str]]:
    """Return each code that the program says, with the kinds of error it is said by."""
    kinds: dict[str, type[errors.FreeholdError]] = {
        kind.__name__: kind for kind in (*errors.KINDS, errors.BadTransition, NotSent)
    }
    found = {kind.code: {name} for name, kind in kinds.items()} | {"bug": {"FreeholdError"}}
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            for code, kind in _said(node, kinds):
                found.setdefault(code, set()).add(kind)
    for told in (trouble, provider_trouble, webhook_trouble):
        for what in Trouble:
            found.setdefault(told(what).code, set()).add(what.kind.__name__)
    return {code: {_AMONG.get(kind, kind) for kind in said} for code, said in found.items()}


def _said(node: ast.AST, kinds: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    match node:
        case ast.Call(func=ast.Name(id=kind), keywords=keywords) if kind in kinds:
            for keyword in keywords:
                if keyword.arg == "code":
                    yield from ((text, kind) for text in _texts(keyword.value))
        case ast.ClassDef(bases=[ast.Name(id=kind)], body=body) if kind in kinds:
            for item in body:
                if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "code":
                    yield from ((text, kind) for text in _texts(item.value))
        case _:
            return


def _texts(value: ast.expr) -> list[str]:
    match value:
        case ast.Constant(value=str(text)):
            return [text] if text else []
        case ast.IfExp(body=one, orelse=other):
            return _texts(one) + _texts(other)
        case _:
            return []


def errors_page() -> str:
    """Return the page of all error codes."""
    statuses = {
        "Invalid": "422 or 413",
        "NotFound": "404",
        "Conflict": "409",
        "BadTransition": "409",
        "Denied": "401 or 403",
        "Exhausted": "402, 429 or 507",
        "Unavailable": "503",
        "FreeholdError": "500",
    }
    told = [(f"`{kind.__name__}`", statuses[kind.__name__], kind.__doc__ or "") for kind in errors.KINDS]
    codes = [
        (
            f"`{code}`",
            ", ".join(f"`{kind}`" for kind in sorted(kinds)),
            "; ".join(sorted({statuses[kind] for kind in kinds})),
        )
        for code, kinds in sorted(error_codes().items())
    ]
    return page(
        "Errors",
        "Every error is a problem document (RFC 9457) with `type`, `title`, `status`, `detail`, `code` and `remedy`. "
        "Compare `code`: it is stable. `detail` and `remedy` are for people. What is `Unavailable` may be tried again "
        "after `Retry-After` seconds; the others will be refused again.",
        rows(("Kind", "Status", "Means"), told),
        "## Codes",
        rows(("Code", "Kind", "Status"), codes),
    )
