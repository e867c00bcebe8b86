"""What `doctor` can see of the signed heads: whether there is a second place, and what was written there last."""

import os
from pathlib import Path
from typing import Any

from freehold.audit.anchors import moment
from freehold.audit.heads import FILE
from freehold.audit.lines import read_line
from freehold.core.errors import Invalid

MAILTO = "mailto:"


def looked_at(place: str) -> tuple[bool, str, str]:
    """Return whether the second place is well, what was found there, and what to do about it."""
    if not place:
        return True, "none: whoever owns this machine could put an old record back", "Set FREEHOLD_AUDIT_ANCHOR."
    if place.startswith(MAILTO):
        return True, f"signed heads are mailed to {place.removeprefix(MAILTO)}", ""
    folder = Path(place)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return False, f"{folder} is no folder that can be written", "Make it, and let the gateway's user write there."
    return _told(folder / FILE)


def _told(file: Path) -> tuple[bool, str, str]:
    try:
        last = _last(file)
    except (OSError, Invalid):
        return False, f"{file} cannot be read as signed heads", "Keep it, and look who changed it."
    if last is None:
        return True, f"nothing in {file} yet", ""
    found = f"anchor {last.get('number')} of {moment(last.get('at'))} in {file}"
    if last.get("faults") and "accepted" not in last:
        remedy = "Run `freehold audit verify`; after a restore, `freehold audit anchor --accept-restored`."
        return False, f"{found}: the record is not what was signed before", remedy
    return True, found, ""


def _last(file: Path) -> dict[str, Any] | None:
    lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if file.exists() else []
    return read_line(lines[-1]) if lines else None
