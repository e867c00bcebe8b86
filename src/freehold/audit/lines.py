"""Lines of an export: one object each, that says one thing."""

import json
from typing import Any

from freehold.audit.canonical import canonical
from freehold.core.errors import Invalid


def read_line(line: str) -> dict[str, Any]:
    """
    Return the object on `line`; raise `Invalid` (`bad_export`) where there is none, or more than one reading of it.

    How it is spelt does not matter, since what it says is hashed in its one spelling; a name that stands there twice
    does, because another reader would take the other value.
    """
    try:
        found = json.loads(line, object_pairs_hook=_once)
        canonical(found)
    except (ValueError, RecursionError) as error:
        raise _bad() from error
    if not isinstance(found, dict):
        raise _bad()
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _bad()
    return found


def _bad() -> Invalid:
    return Invalid(
        "This is not a line of an audit export.",
        code="bad_export",
        remedy="Give the file as it was exported, one JSON object per line.",
    )
