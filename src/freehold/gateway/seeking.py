"""
Looking for secrets where none should be: whoever has the bytes hands them in, and is told names, never a value.

A secret is looked for as it is and in every form that programs give it without meaning to: packed as base64 at any
offset, in hexadecimal, for addresses, in UTF-16, escaped for JSON, and backwards. Of a long one a piece from its middle
stands for the whole, so that one that lies there in parts is found too.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from sqlalchemy import Connection as Tx
from sqlalchemy import select

from freehold.audit.recording import PLATFORM
from freehold.gateway import secrets
from freehold.gateway.keeping import Keep
from freehold.gateway.ports import SHORTEST
from freehold.gateway.tables import secrets as rows

SLICE: Final = 192
"""Bytes of a long secret that are looked for; whoever cuts what it hands in lets the parts overlap by `OVERLAP`."""
OVERLAP: Final = 4096


class Piece(msgspec.Struct):
    """Some bytes, and where they were seen."""

    where: str
    data: bytes


class SeekRequest(msgspec.Struct, kw_only=True):
    """Bytes in which no secret should be."""

    tenant: str | None
    subject: str
    """What they were seen in, as the record says it."""
    by: str
    pieces: list[Piece]


def spellings(value: str) -> Iterator[tuple[str, bytes]]:
    """Yield every form of a secret that is looked for, with its name."""
    raw = value.encode()
    if len(raw) > SLICE:
        middle = (len(raw) - SLICE) // 2
        raw = raw[middle : middle + SLICE]
    text = raw.decode("utf-8", "ignore")
    yield "as it is", raw
    yield "backwards", raw[::-1]
    yield "hexadecimal", raw.hex().encode()
    yield "hexadecimal", raw.hex().upper().encode()
    yield "for an address", quote(text, safe="").encode()
    yield "UTF-16", text.encode("utf-16-le")
    yield "UTF-16", text.encode("utf-16-be")
    for ascii_only in (True, False):
        yield "for JSON", json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()
    for offset, skipped in enumerate((0, 2, 3)):
        packed = bytes(offset) + raw
        whole = len(packed) * 8 // 6  # the last character tells of what follows too
        yield "base64", base64.b64encode(packed)[skipped:whole]
        yield "base64", base64.urlsafe_b64encode(packed)[skipped:whole]


def seek(tx: Tx, keep: Keep, request: SeekRequest) -> dict[str, Any]:
    """
    Look for every secret of the vault in `request.pieces`, and write down that somebody did.

    Return what was `found` (`where`, `owner`, `name`, `spelling`), how many secrets were `looked_for`, and the names of
    those `too_short` to tell from other words.
    """
    found: list[dict[str, str]] = []
    too_short: list[str] = []
    looked_for = 0
    for owner, name in tx.execute(select(rows.c.tenant, rows.c.name)).all():
        credential = secrets.opened(tx, keep, tenant=None if owner == PLATFORM else owner, name=name, ours=True)
        if len(credential.reveal().encode()) < SHORTEST:
            too_short.append(f"{owner}/{name}")
            continue
        looked_for += 1
        for where, spelling in _found(request.pieces, credential.reveal()):
            found.append({"where": where, "owner": owner, "name": name, "spelling": spelling})
    size = sum(len(piece.data) for piece in request.pieces)
    keep.note(
        tx,
        request.tenant,
        actor=request.by,
        action="secret.seek",
        subject=request.subject,
        detail={"pieces": len(request.pieces), "bytes": size, "secrets": looked_for, "found": len(found)},
    )
    return {"found": found, "looked_for": looked_for, "too_short": too_short}


def _found(pieces: Sequence[Piece], value: str) -> Iterator[tuple[str, str]]:
    wanted = dict.fromkeys(spellings(value))
    for piece in pieces:
        told: set[str] = set()
        for spelling, needle in wanted:
            if spelling not in told and needle in piece.data:
                told.add(spelling)
                yield piece.where, spelling
