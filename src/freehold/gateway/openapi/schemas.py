"""
Schemas of an OpenAPI document as a model reads them: references followed, cycles and depths cut, the rest left out.

A reference is followed within the document only. What may be expanded in all is counted, so that a document in which
everything names everything twice costs no more than any other.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, final

from freehold.core.errors import Invalid

DEEPEST: Final = 10
"""How deep a schema is told; below that anything goes."""
LONGEST: Final = 300
"""Letters of a description within a schema."""
LONGEST_REFERENCE: Final = 1_000
MOST_HOPS: Final = 20
"""References that lead to references."""
_PLAIN: Final = frozenset(
    {
        "type", "enum", "const", "default", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "multipleOf", "minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "minProperties",
        "maxProperties", "required",
    }
)  # fmt: skip
_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SINGLE: Final = ("items", "additionalProperties", "not")
_USUAL: Final = 50
"""Entries that a schema has at most, usually."""
_FEW: Final = 200
"""Values of an enumeration."""


class TooMuch(Exception):
    """What may be expanded is used up."""


@final
class Following:
    """Follows the references of one document, as long as there is something left to spend."""

    def __init__(self, document: Mapping[str, Any], *, most: int) -> None:
        """Expand at most `most` schemas of `document`."""
        self._document, self.left = document, most

    def target(self, stated: Any) -> dict[str, Any]:
        """Return what an object is, or refers to; raise `Invalid` (`bad_document`) where it leads nowhere."""
        seen = 0
        while isinstance(stated, Mapping) and "$ref" in stated:
            seen += 1
            if seen > MOST_HOPS:
                raise bad("references lead in a circle")
            stated = self._at(stated["$ref"])
        if not isinstance(stated, Mapping):
            raise bad("something is no object that should be one")
        return stated if isinstance(stated, dict) else dict(stated)  # large ones are found again and again

    def schema(self, stated: Any, *, deepest: int, trail: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return a schema with nothing to follow left in it; raise `TooMuch` if there is nothing left to spend."""
        self.left -= 1
        if self.left < 0:
            raise TooMuch
        if isinstance(stated, bool) or deepest <= 0:
            return {}
        here = (*trail, str(stated["$ref"])) if isinstance(stated, Mapping) and "$ref" in stated else trail
        if len(set(here)) != len(here):
            return {}  # it holds itself
        whole = self.target(stated)
        self.left -= _weight(whole)
        told = _nullable({name: value for name, value in whole.items() if name in _PLAIN and _fits(name, value)}, whole)
        if isinstance(whole.get("description"), str):
            told["description"] = brief(whole["description"])
        return told | self._parts(whole, deepest - 1, here) | self._properties(whole, told, deepest - 1, here)

    def _parts(self, whole: dict[str, Any], deepest: int, trail: tuple[str, ...]) -> dict[str, Any]:
        single = {name: whole[name] for name in _SINGLE if isinstance(whole.get(name), Mapping)}
        lists = {name: whole[name] for name in _LISTS if isinstance(whole.get(name), list)}
        told: dict[str, Any] = {name: self.schema(one, deepest=deepest, trail=trail) for name, one in single.items()}
        for name, some in lists.items():
            told[name] = [self.schema(one, deepest=deepest, trail=trail) for one in some]
        return told

    def _properties(
        self, whole: dict[str, Any], told: dict[str, Any], deepest: int, trail: tuple[str, ...]
    ) -> dict[str, Any]:
        stated = whole.get("properties")
        if not isinstance(stated, Mapping):
            return {}
        shown = {name: one for name, one in stated.items() if not (isinstance(one, Mapping) and one.get("readOnly"))}
        known = {str(name): self.schema(one, deepest=deepest, trail=trail) for name, one in shown.items()}
        required = [name for name in told.get("required", ()) if name in known]
        told.pop("required", None)
        return {"properties": known} | ({"required": required} if required else {})

    def _at(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/") or len(reference) > LONGEST_REFERENCE:
            raise bad(f"{str(reference)[:80]!r} leads out of the document")
        found: Any = self._document
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
            if not isinstance(found, Mapping) or name not in found:
                raise bad(f"{reference[:80]!r} leads nowhere")
            found = found[name]
        return found


def _weight(whole: Mapping[str, Any]) -> int:
    """Return as how many schemas one counts besides itself: what is large takes long to look at, each time anew."""
    needed = whole.get("required")
    return (len(whole) + (len(needed) if isinstance(needed, list) else 0)) // _USUAL


def brief(text: str) -> str:
    """Return a description of a part, short and on one line."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 2 * LONGEST]).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def bad(why: str) -> Invalid:
    """Return the error that tells that a document makes no sense."""
    return Invalid(
        f"This is no OpenAPI document that can be read: {why}.",
        code="bad_document",
        remedy="Give an OpenAPI 3.0 or 3.1 document as JSON, whole and without references to other files.",
    )


def _fits(name: str, value: Any) -> bool:  # noqa: PLR0911 - one per kind
    match name:
        case "type":
            return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))
        case "required":
            return isinstance(value, list) and all(isinstance(one, str) for one in value)
        case "enum":
            return isinstance(value, list) and len(value) <= _FEW and all(_scalar(one) for one in value)
        case "const" | "default":
            return _scalar(value)
        case "format" | "pattern":
            return isinstance(value, str) and len(value) <= LONGEST
        case "uniqueItems":
            return isinstance(value, bool)
        case _:
            return isinstance(value, bool | int | float) and _scalar(value)


def _scalar(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1 << 53)


def _nullable(told: dict[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of OpenAPI 3.0 as JSON Schema says it."""
    if isinstance(told.get("exclusiveMinimum"), bool):
        told.pop("exclusiveMinimum")
    if isinstance(told.get("exclusiveMaximum"), bool):
        told.pop("exclusiveMaximum")
    if whole.get("nullable") is True and isinstance(told.get("type"), str):
        told["type"] = [told["type"], "null"]
    return told
