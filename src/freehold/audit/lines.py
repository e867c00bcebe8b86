"""Lines of an export: one object each, in its one spelling."""

import json
from typing import Any

from freehold.audit.canonical import canonical
from freehold.core.errors import Invalid


def read_line(line: str) -> dict[str, Any]:
    """Return the object on `line`; raise `Invalid` (`bad_export`) unless it stands there in its one spelling."""
    try:
        found = json.loads(line)
        written = line.encode()
    except (ValueError, RecursionError) as error:
        raise _bad() from error
    if not isinstance(found, dict) or canonical(found) != written:
        raise _bad()
    return found


def _bad() -> Invalid:
    return Invalid(
        "This is not a line of an audit export.",
        code="bad_export",
        remedy="Give the file as it was exported, one JSON object per line.",
    )
