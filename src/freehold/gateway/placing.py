"""
The second place: signed heads are written where whoever changes our disk cannot reach.

A folder (another disk, a share, a mount that only takes more) or a mailbox. What could not be written is tried
again, in order; how long it is missing is part of what `audit verify` says.
"""

import asyncio
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any, Final, final

from sqlalchemy import Connection as Tx
from sqlalchemy import insert, select

from freehold.audit.heads import FILE
from freehold.core.errors import FreeholdError
from freehold.gateway import looking_back
from freehold.gateway.effects import Effects
from freehold.gateway.keeping import Keep
from freehold.gateway.requests import MailRequest
from freehold.gateway.tables import anchor_places, anchors

log = logging.getLogger(__name__)

MAILTO: Final = "mailto:"
BATCH: Final = 200


@final
class SecondPlace:
    """Where anchors go."""

    def __init__(self, keep: Keep, effects: Effects, place: str) -> None:
        """Write to `place`: a folder, `mailto:` and an address, or nothing."""
        self._keep, self._effects, self.place = keep, effects, place
        self._writing = asyncio.Lock()
        self._seen: looking_back.Stamp | None = None
        self._foreign = False

    async def look_back(self) -> None:
        """Take up what stands there signed by us and the store forgot; nothing is read that did not change."""
        if not self.place or self.place.startswith(MAILTO):
            return
        async with self._writing:  # what is being written is not known to be there yet
            try:
                await self._looked_back(Path(self.place))
            except OSError as error:
                log.warning("The signed heads in %s cannot be read: %s", self.place, error)

    async def _looked_back(self, folder: Path) -> None:
        stamp = await self._keep.aside(lambda: looking_back.stamp(folder))
        if stamp == self._seen:
            return
        self._foreign = False
        if stamp is not None:
            after, key = await self._keep.read(looking_back.placed)
            found = await self._keep.aside(lambda: looking_back.looked(folder, after=after, key=key))
            if found.later:
                await self._keep.write(lambda tx: looking_back.take_up(tx, self._keep, found.later, after=after))
            self._foreign = found.foreign
            if found.foreign:
                log.error("The newest line in %s is none that we signed; it is not believed.", folder)
        self._seen = stamp

    def faults(self, tx: Tx) -> list[dict[str, Any]]:
        """Return what was wrong there at the last look, told as faults of chains are."""
        if not self._foreign:
            return []
        number = looking_back.placed(tx)[0]
        return [{"store": "anchors", "tenant": "", "seq": number, "now": 0, "what": "foreign"}]

    async def catch_up(self) -> None:
        """Write down there what is not there yet; what fails is said, and tried again the next time."""
        async with self._writing:  # once an hour and whenever somebody asks: no line twice
            while self.place and (waiting := await self._keep.read(_missing)):
                for anchor in waiting:
                    if not await self._written(anchor["number"], anchor["line"]):
                        return

    async def _written(self, number: int, line: str) -> bool:
        try:
            await self._put(number, line)
        except (OSError, FreeholdError) as error:
            log.warning("The signed head %d cannot be written to %s: %s", number, self.place, error)
            return False
        await self._keep.write(partial(self._placed, number=number))
        return True

    def standing(self, tx: Tx) -> dict[str, Any]:
        """Return which place it is, and since when an anchor is missing there."""
        missing = _missing(tx) if self.place else []
        return {"place": self.place, "missing_since": missing[0]["at"] if missing else None}

    async def _put(self, number: int, line: str) -> None:
        if not self.place.startswith(MAILTO):
            await self._keep.aside(lambda: append(Path(self.place), line))
            return
        to = self.place.removeprefix(MAILTO)
        subject = f"Freehold audit anchor {number}"
        await self._effects.mail(MailRequest(to=to, subject=subject, text=f"{line}\n", key=f"anchor/{number}"))

    def _placed(self, tx: Tx, *, number: int) -> None:
        values = {"tenant": "", "number": number, "place": self.place, "placed_at": self._keep.now()}
        tx.execute(insert(anchor_places), values)


def append(folder: Path, line: str) -> None:
    """Add `line` to the file of anchors in `folder`, on disk when this returns."""
    place = folder / FILE
    descriptor = os.open(place, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    with os.fdopen(descriptor, "rb+", buffering=0) as file:
        _drop_torn(file.fileno())
        file.write(f"{line}\n".encode())
        os.fsync(descriptor)


def _drop_torn(descriptor: int) -> None:
    """Take away half a line that a power cut left: the whole one is about to be written again."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, min(size, 1 << 20), max(0, size - (1 << 20)))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, size - len(tail) + tail.rfind(b"\n") + 1)


def _missing(tx: Tx) -> list[dict[str, Any]]:
    there = select(anchor_places.c.number)
    rows = select(anchors).where(anchors.c.number.not_in(there)).order_by(anchors.c.number).limit(BATCH)
    return [dict(row) for row in tx.execute(rows).mappings()]
