"""The arguments of an operation: its parameters and its body in one flat schema, and where each of them goes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

from freehold.gateway.openapi.schemas import Following, brief

PLACES: Final = ("path", "query", "header")
MOST: Final = 100
"""Arguments of one tool."""
MOST_STATED: Final = 1_000
"""Parameters that an operation may state, those included that are said twice or that nobody is asked for."""
_NOT_ASKED: Final = frozenset({"accept", "content-type", "authorization"})
"""Headers that are no parameters, as the standard says."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]+")
_BRACES: Final = re.compile(r"\{([^{}/]*)\}")
_JSON: Final = re.compile(r"application/(json|[a-z0-9.+-]+\+json)", re.IGNORECASE)
WHOLE: Final = "body"


class NotTold(Exception):
    """An operation that cannot be a tool; says why."""


@final
@dataclass(slots=True)
class Arguments:
    """What an operation takes, growing while it is read."""

    places: dict[str, str] = field(default_factory=dict)
    """Name of the argument → path, query, header or body."""
    spelt: dict[str, str] = field(default_factory=dict)
    """Name of the argument → what the server calls it, where that is another name."""
    joined: list[str] = field(default_factory=list)
    """Arguments whose values are written as one, with commas."""
    whole: str = ""
    """The argument that is the whole body, where the body has no names of its own."""
    properties: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of all of them."""
        needed = {"required": self.required} if self.required else {}
        return {"type": "object", "properties": self.properties, "additionalProperties": False} | needed

    @property
    def how(self) -> dict[str, Any]:
        """Where each of them goes; what says nothing is left out."""
        more = {"as": self.spelt, "joined": self.joined, "whole": self.whole}
        return {"in": self.places} | {name: value for name, value in more.items() if value}

    def add(self, name: str, place: str, schema: dict[str, Any], *, required: bool) -> str:
        """Take one more and return what it is called."""
        if len(self.properties) >= MOST:
            raise NotTold("it takes too many arguments")
        called = self._free(name if _NAME.fullmatch(name) else _OTHER.sub("_", name).strip("_")[:60] or "value", place)
        self.properties[called], self.places[called] = schema, place
        if called != name:
            self.spelt[called] = name
        if required:
            self.required.append(called)
        return called

    def _free(self, name: str, place: str) -> str:
        for called in (name, f"{name[:50]}_{place}", *(f"{name[:50]}_{n}" for n in range(2, MOST + 2))):
            if called not in self.properties:
                return called
        raise NotTold("its arguments cannot be told apart")


def arguments_of(
    follow: Following, path: str, shared: Sequence[Any], operation: Mapping[str, Any], *, deepest: int
) -> Arguments:
    """Return what an operation takes; `shared` are the parameters of all operations of its path."""
    taken = Arguments()
    stated = operation.get("parameters")
    own = stated if isinstance(stated, list) else []
    if len(shared) + len(own) > MOST_STATED:
        raise NotTold("it states too many parameters")
    found = [follow.target(one) for one in (*shared, *own)]
    # An operation's own parameter takes the place of one of its path; what says no name or place means nothing.
    named = {(str(one["name"]), str(one["in"])): one for one in found if "name" in one and "in" in one}
    for name in dict.fromkeys(_BRACES.findall(path)):
        one = named.pop((name, "path"), {})
        taken.add(name, "path", _shown(follow, one, deepest) or {"type": "string"}, required=True)
    for (name, place), one in named.items():
        _parameter(follow, taken, name, place, one, deepest)
    if "requestBody" in operation:
        _body(follow, taken, follow.target(operation["requestBody"]), deepest)
    return taken


def _parameter(
    follow: Following, taken: Arguments, name: str, place: str, one: Mapping[str, Any], deepest: int
) -> None:
    required = one.get("required") is True
    if place == "cookie" and required:
        raise NotTold("it needs a cookie")
    if place not in {"query", "header"} or (place == "header" and name.lower() in _NOT_ASKED):
        return
    called = taken.add(name, place, _shown(follow, one, deepest), required=required)
    if place == "header" or one.get("explode") is False:
        taken.joined.append(called)


def _shown(follow: Following, one: Mapping[str, Any], deepest: int) -> dict[str, Any]:
    content = one.get("content")
    stated = one.get("schema", {})
    if isinstance(content, Mapping) and content:
        stated = follow.target(next(iter(content.values()))).get("schema", {})
    told = follow.schema(stated, deepest=deepest)
    return told | ({"description": brief(one["description"])} if isinstance(one.get("description"), str) else {})


def _body(follow: Following, taken: Arguments, body: Mapping[str, Any], deepest: int) -> None:
    content = body.get("content")
    kinds = content if isinstance(content, Mapping) else {}
    stated = next((kinds[kind] for kind in kinds if _JSON.match(str(kind))), None)
    required = body.get("required") is True
    if stated is None:
        if required:
            raise NotTold("its body is not JSON")
        return
    schema = _flat(follow.schema(follow.target(stated).get("schema", {}), deepest=deepest + 1))
    if "properties" not in schema or "anyOf" in schema or "oneOf" in schema:
        taken.whole = taken.add(WHOLE, "body", schema, required=required)
        return
    needed = schema.get("required", ())
    for name, one in schema["properties"].items():
        taken.add(name, "body", one, required=required and name in needed)


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose parts that all hold are one."""
    parts = [_flat(part) for part in schema.get("allOf", ())]
    if not parts or not all("properties" in part for part in parts):
        return schema
    own = {name: value for name, value in schema.items() if name != "allOf"}
    told = {name: value for part in parts for name, value in part.items()} | own
    told["properties"] = {name: one for part in (*parts, own) for name, one in part.get("properties", {}).items()}
    told["required"] = list(dict.fromkeys(name for part in (*parts, own) for name in part.get("required", ())))
    return told
