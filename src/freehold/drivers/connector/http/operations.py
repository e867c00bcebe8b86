"""
What an effect asks for, as a request: the plain operations `get`, `post`, … and those that a document described.

A plain operation takes a path, a query, headers and a body as they are. A described one takes named arguments, and
says for each where it goes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, final
from urllib.parse import quote, urlencode

from freehold.core.effects import EffectKind
from freehold.core.errors import Invalid
from freehold.core.tools import Tool
from freehold.gateway.requesting import allowing

KINDS: Final = MappingProxyType(
    {
        "GET": EffectKind.READ,
        "HEAD": EffectKind.READ,
        "POST": EffectKind.MESSAGE,
        "PUT": EffectKind.OWN_WRITE,
        "PATCH": EffectKind.OWN_WRITE,
        "DELETE": EffectKind.DESTROY,
    }
)
_BODILESS: Final = frozenset({"GET", "HEAD"})
_SHOWN: Final = 600
"""Characters of what is allowed that a tool's description tells."""
_PLAIN: Final = frozenset({"path", "query", "headers", "json", "text"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as the caller asks for it, before anything was judged."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def tools(config: Mapping[str, Any]) -> Sequence[Tool]:
    """Return the plain operations of a connection: one for each method that it allows."""
    return _tools(str(config.get("base_url")), tuple(config.get("allow") or ()))


def asked(tool: Tool, arguments: Mapping[str, Any]) -> Asked:
    """Return what `tool` asks for with these arguments; raise `Invalid` (`bad_arguments`) for what is none of them."""
    return _described(tool.how, arguments) if tool.how else _plain(tool.name.upper(), arguments)


@lru_cache(maxsize=256)
def _tools(base_url: str, allow: tuple[str, ...]) -> tuple[Tool, ...]:
    config = {"allow": allow}
    return tuple(_tool(method, base_url, allow) for method in allowing.methods(config))


def _tool(method: str, base_url: str, allow: tuple[str, ...]) -> Tool:
    paths = [path for one in allow for stated, _, path in [one.partition(":")] if stated.upper() in {method, "*"}]
    told = ", ".join(path or "the address itself (an empty path)" for path in paths)
    told = told if len(told) <= _SHOWN else told[:_SHOWN] + " …"
    bodies = "" if method in _BODILESS else " The body is `json`, or `text`."
    properties: dict[str, Any] = {
        "path": {"type": "string", "description": "Below the address, beginning with /; without a query."},
        "query": {"type": "object", "description": "Names and values; a list says one several times."},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
    }
    if bodies:
        properties |= {"json": {"description": "Any JSON."}, "text": {"type": "string"}}
    return Tool(
        name=method.lower(),
        description=f"{method} at {base_url}, signed in already. Paths: {told}; * is one segment, ** the rest.{bodies}",
        parameters={"type": "object", "properties": properties, "required": ["path"], "additionalProperties": False},
        kind=KINDS[method],
    )


def _plain(method: str, arguments: Mapping[str, Any]) -> Asked:
    unknown = sorted(arguments.keys() - _PLAIN)
    path, query, headers = arguments.get("path"), arguments.get("query"), arguments.get("headers") or {}
    if unknown or not isinstance(path, str):
        raise bad_arguments("This takes path, query, headers, and json or text.")
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise bad_arguments("Headers are names and texts.")
    if method in _BODILESS and ("json" in arguments or "text" in arguments):
        raise bad_arguments(f"A {method} has no body.")
    if "json" in arguments and "text" in arguments:
        raise bad_arguments("A body is either json or text.")
    body, kind = _body(arguments)
    return Asked(method=method, path=path, query=_query(query), headers=_typed(headers, kind), body=body)


def _described(how: Mapping[str, Any], arguments: Mapping[str, Any]) -> Asked:
    places, spelt, joined = how.get("in") or {}, how.get("as") or {}, how.get("joined") or ()
    unknown = sorted(arguments.keys() - places.keys())
    if unknown:
        raise bad_arguments(f"This takes no {', '.join(unknown)[:200]}.")
    path = str(how["path"])
    parts: dict[str, dict[str, Any]] = {"query": {}, "header": {}, "body": {}}
    for name, value in arguments.items():
        place, called = str(places[name]), str(spelt.get(name, name))
        if place == "path":
            path = path.replace("{" + called + "}", quote(_text(value), safe=":@!$&'()*+,="))
        else:
            parts[place][called] = _text(value) if name in joined or place == "header" else value
    if "{" in path:
        raise bad_arguments(f"The path {path[:200]} has places that nothing was said for.")
    whole, said = str(how.get("whole") or ""), dict[str, Any]()
    if parts["body"]:
        said = {"json": arguments[whole] if whole in arguments else parts["body"]}
    body, kind = _body(said)
    method, headers = str(how["method"]).upper(), _typed(parts["header"], kind)
    return Asked(method=method, path=path, query=_query(parts["query"]), headers=headers, body=body)


def _body(arguments: Mapping[str, Any]) -> tuple[bytes, str]:
    if "json" in arguments:
        return json.dumps(arguments["json"], ensure_ascii=False, allow_nan=False).encode(), "application/json"
    text = arguments.get("text")
    if text is None:
        return b"", ""
    if not isinstance(text, str):
        raise bad_arguments("A text is text.")
    return text.encode(), "text/plain; charset=utf-8"


def _typed(headers: Mapping[str, str], kind: str) -> dict[str, str]:
    found = {name.lower(): value for name, value in headers.items()}
    return {"content-type": kind} | found if kind else found


def _query(stated: object) -> str:
    if stated is None or isinstance(stated, str):
        return (stated or "").removeprefix("?").encode().decode("latin-1")  # as it would be on the wire
    if not isinstance(stated, dict):
        raise bad_arguments("A query is names and values.")
    pairs = [(name, value) for name, many in stated.items() for value in (many if isinstance(many, list) else [many])]
    return urlencode([(name, _text(value)) for name, value in pairs if value is not None])


def _text(value: object) -> str:
    """Return a value as addresses and headers have it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(_text(one) for one in value)
    return json.dumps(value, ensure_ascii=False)


def bad_arguments(message: str) -> Invalid:
    """Return the error that tells what is wrong with an effect's arguments."""
    remedy = 'Give {"path": "/…", "query": {…}, "json": …}, or what the tool\'s description names.'
    return Invalid(message, code="bad_arguments", remedy=remedy)
