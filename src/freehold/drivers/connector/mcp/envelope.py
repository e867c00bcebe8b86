"""
Requests of the versions that know no sessions: each says for itself who asks, in which version, and what for.

What intermediaries go by is said again in headers: the method, the tool, and those arguments of which the tool says
that they want to see them.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

from freehold.gateway.requesting.callers import is_name

NEWEST: Final = "2026-07-28"
_META: Final = "io.modelcontextprotocol/"
_PLAIN: Final = re.compile(r"(?!\s)[\x20-\x7e]*(?<!\s)")
_PACKED: Final = re.compile(r"=\?base64\?.*\?=")
_ANNOTATED: Final = "x-mcp-header"
MAX_DEPTH: Final = 8
MAX_HEADERS: Final = 30


def who() -> dict[str, str]:
    """Return as whom we present ourselves."""
    return {"name": "freehold", "version": version("freehold")}


def sealed(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request with what it says about itself."""
    meta = {f"{_META}protocolVersion": NEWEST, f"{_META}clientInfo": who(), f"{_META}clientCapabilities": {}}
    return {**params, "_meta": meta}


def routing(method: str, params: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that repeat what a request says; `schema` is that of the tool it calls, if it calls one."""
    headers = {"mcp-protocol-version": NEWEST, "mcp-method": method}
    if method == "tools/call":
        headers["mcp-name"] = _spelt(str(params["name"]))
        shown = list(_shown(schema, params["arguments"], MAX_DEPTH))[:MAX_HEADERS]
        headers |= {f"mcp-param-{name.lower()}": _spelt(value) for name, value in shown}
    return headers


def _shown(schema: Any, arguments: Any, depth: int) -> Iterator[tuple[str, str]]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not depth or not isinstance(properties, Mapping) or not isinstance(arguments, Mapping):
        return
    for name, told in properties.items():
        value = arguments.get(name)
        wanted = told.get(_ANNOTATED) if isinstance(told, Mapping) else None
        if isinstance(wanted, str) and is_name(wanted) and isinstance(value, (str, int, float)):
            yield wanted, str(value).lower() if isinstance(value, bool) else str(value)
        yield from _shown(told, value, depth - 1)


def _spelt(value: str) -> str:
    """Return a value as a header may have it."""
    if _PLAIN.fullmatch(value) and not _PACKED.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'replace')).decode()}?="
