"""What `doctor` can see of the signed heads: whether there is a second place, and what was written there last."""

import os
from pathlib import Path
from typing import Any

from freehold.app.users import User
from freehold.audit.anchors import moment
from freehold.audit.heads import FILE
from freehold.audit.lines import read_line
from freehold.core.errors import Invalid

MAILTO = "mailto:"


def looked_at(place: str, writer: User | None = None) -> tuple[bool, str, str]:
    """
    Return whether the second place is well, what was found there, and what to do about it.

    `writer` is who writes there, if it is another than who asks.
    """
    if not place:
        return True, "none: whoever owns this machine could put an old record back", "Set FREEHOLD_AUDIT_ANCHOR."
    if place.startswith(MAILTO):
        return True, f"signed heads are mailed to {place.removeprefix(MAILTO)}", ""
    folder = Path(place)
    whose = "the gateway's user" + (f" {writer.uid}" if writer else "")
    if not folder.is_dir() or not (_open_to(folder, writer) if writer else os.access(folder, os.W_OK)):
        return False, f"{folder} is no folder that can be written", f"Make it, and let {whose} write there."
    return _told(folder / FILE)


def _open_to(folder: Path, writer: User) -> bool:
    """Return whether the folder's mode lets `writer` make files in it; the way there is not looked at."""
    found = folder.stat()
    ours = 3 if found.st_gid in {writer.gid, *writer.groups} else 0
    bits = found.st_mode >> (6 if found.st_uid == writer.uid else ours)
    return bits & 0o3 == 0o3  # noqa: PLR2004 - enter and write


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
