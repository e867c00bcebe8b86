"""
The second place read back: a store that was put back finds there what it signed in the life it forgot.

Every line that carries our own signature is ours, whatever the store remembers. Lines from behind the last one that
the store knows to be there are taken up as if it had just signed them: the file stays one chain, and the ends they
name are compared like any others, so that an old copy of everything is found and can be accepted. A line that is
not ours is not believed; where the newest one is such, that is told.
"""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import func, insert, select

from freehold.audit.canonical import canonical
from freehold.audit.heads import ANCHOR, FILE, is_signed
from freehold.audit.lines import read_line
from freehold.core.errors import Invalid
from freehold.gateway import anchoring, pairs
from freehold.gateway.keeping import Keep
from freehold.gateway.tables import anchor_places, anchors

log = logging.getLogger(__name__)

LONGEST: Final = 16 << 20
"""No line of ours is longer (bytes): it would name a hundred thousand ends."""
_NUMBER: Final = re.compile(rb'"number":\s*(\d{1,15})\b')

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What stands in the second place."""

    later: dict[int, dict[str, Any]]
    """Anchors of ours with a higher number than was asked for."""
    foreign: bool
    """Whether the newest line is none of ours."""


def stamp(folder: Path) -> Stamp | None:
    """Return by what a change of the file of anchors shows; None where there is none."""
    try:
        found = (folder / FILE).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def placed(tx: Tx) -> tuple[int, str]:
    """Return the number of the newest anchor that is known to be in the second place, and the key it is signed with."""
    number = tx.execute(select(func.max(anchor_places.c.number))).scalar() or 0
    return int(number), pairs.known_key(tx, tenant=None, purpose="heads")


def looked(folder: Path, *, after: int, key: str) -> Elsewhere:
    """Return the anchors behind number `after` that stand in `folder` signed with `key`."""
    later: dict[int, dict[str, Any]] = {}
    newest = b""
    for line in _lines(folder / FILE):
        newest = line
        number = _NUMBER.search(line)
        if number and int(number[1]) > after and (found := _ours(line, key)):
            later[found["number"]] = found
    return Elsewhere(later, foreign=bool(newest) and _ours(newest, key) is None)


def take_up(tx: Tx, keep: Keep, later: dict[int, dict[str, Any]], *, after: int) -> None:
    """
    Remember the anchors `later` as signed and placed.

    Anchors that the store signed under their numbers while it could not reach the place stay in the store, as every
    signed line does, and are not written there any more.
    """
    mine = {row.number: row.line for row in tx.execute(select(anchors).where(anchors.c.number > after))}
    lines = {number: canonical(found).decode() for number, found in sorted(later.items())}
    if all(mine.get(number) == line for number, line in lines.items()):
        return  # a crash fell between writing and remembering
    log.error("The store went back: it knew of anchor %d, and the second place has anchor %d.", after, max(lines))
    for number, line in lines.items():
        found = later[number]
        if number not in mine:
            tx.execute(insert(anchors), {"tenant": "", "number": number, "at": found["at"], "line": line})
        # Which place it is does not matter here: it stands in the one that is used now.
        values = {"tenant": "", "number": number, "place": "", "placed_at": keep.now()}
        tx.execute(insert(anchor_places), values)
        anchoring.take_up(tx, found)


def _lines(file: Path) -> Iterator[bytes]:
    """Give the whole lines of a file; half a line at its end is about to be written again."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as opened:
        while line := opened.readline(LONGEST):
            if line.strip() and (line.endswith(b"\n") or len(line) == LONGEST):
                yield line


def _ours(line: bytes, key: str) -> dict[str, Any] | None:
    try:
        found = read_line(line.decode())
    except (Invalid, UnicodeDecodeError):
        return None
    return found if found.get("kind") == ANCHOR and key and is_signed(found, key) else None
