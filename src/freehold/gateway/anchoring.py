"""
Signed heads: what the gateway vouches for, and what it refuses to vouch for.

The gateway remembers the newest end of every chain that it signed. An end that went back, or a link that is not
the one it signed, it does not sign again: the anchor names it as a fault instead, each time, until an operator who
restored a backup takes it as right.
"""

import logging
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import delete, insert, select

from freehold.audit import heads as signed
from freehold.audit.canonical import canonical
from freehold.audit.chain import Chain, Head
from freehold.audit.sealing import hash_at, heads, seal_batch
from freehold.core.errors import Conflict
from freehold.gateway import pairs
from freehold.gateway.keeping import Keep
from freehold.gateway.requests import AnchorRequest, HeadRequest, HeadTold
from freehold.gateway.tables import anchor_heads, anchors, audit

log = logging.getLogger(__name__)

STORE: Final = "gateway"
DATABASE: Final = "database"


def known(tx: Tx) -> dict[str, Any]:
    """Return when the last anchor was signed (none: never), and which end of each chain of the database."""
    rows = tx.execute(select(anchor_heads.c.tenant, anchor_heads.c.seq).where(anchor_heads.c.store == DATABASE))
    last = _last(tx)
    return {"at": last["at"] if last else None, "heads": [{"tenant": row.tenant, "seq": row.seq} for row in rows]}


def anchor(tx: Tx, keep: Keep, request: AnchorRequest) -> dict[str, Any]:
    """
    Sign the ends of all chains, those of the database as web tells them, and return the anchor.

    `request.seen` are the links the database has now where ends were signed before; a web that looked before
    another anchor was made gets a `Conflict` (`stale_heads`).
    """
    now = _now(_own_heads(tx, keep), request.heads)
    before = _signed(tx)
    faults = _faults(tx, before, now, request.seen)
    wrong = {(fault["store"], fault["tenant"]) for fault in faults}
    if request.accepted:
        detail = {"faults": faults}
        keep.note(tx, None, actor=request.accepted, action="anchor.accept", subject="record", detail=detail)
        _forget(tx, wrong)
        before, wrong = {chain: end for chain, end in before.items() if chain not in wrong}, set()
    moved = [head for chain, head in sorted(now.items()) if chain not in wrong and before.get(chain) != head]
    if faults:
        log.error("The record is not what was signed before: %s", faults)
    _remember(tx, moved)
    return _written(tx, keep, moved, faults, request.accepted)


def head(tx: Tx, keep: Keep, request: HeadRequest) -> dict[str, Any]:
    """Sign the ends of what is about to be exported; return the `line` and the gateway's own `heads` among them."""
    mine = [end for end in _own_heads(tx, keep) if request.every or end.tenant == (request.tenant or "")]
    ends = [_head(end) for end in request.heads if DATABASE in request.stores]
    ends += mine if STORE in request.stores else []
    before = _signed(tx)
    found = [fault for end in ends if (fault := _went_back(end, before.get(end.chain)))]
    last = _last(tx)
    body = signed.export_body(
        at=_millis(keep.now()),
        tenant=signed.EVERY_TENANT if request.every else request.tenant or "",
        stores=request.stores,
        heads=ends,
        anchor={"number": last["number"], "hash": signed.line_mark(last["line"])} if last else None,
        key=pairs.public_key(tx, keep, tenant=None, purpose="heads"),
        faults=found,
    )
    line = signed.signed_line(body, pairs.signature(tx, keep, canonical(body)))
    return {"line": line, "heads": [asdict(end) for end in mine]}


def standing(tx: Tx) -> dict[str, Any]:
    """Return the public key and the last anchor: its number, when it was signed, and the faults it names."""
    last = _last(tx)
    told = {"number": last["number"], "at": last["at"]} if last else {"number": 0, "at": None}
    faults = signed.parsed(last["line"]).get("faults", []) if last else []
    accepted = bool(last) and "accepted" in signed.parsed(last["line"] if last else "{}")
    key = pairs.known_key(tx, tenant=None, purpose="heads")
    return told | {"key": key, "faults": [] if accepted else faults}


def compared(tx: Tx, told: Iterable[HeadTold], seen: Iterable[HeadTold]) -> list[dict[str, Any]]:
    """Return the faults that an anchor made now would name; `told` and `seen` as it would be told them."""
    return _faults(tx, _signed(tx), _now(heads(tx, audit, store=STORE), told), seen)


def take_up(tx: Tx, anchor: dict[str, Any]) -> None:
    """Remember the ends that `anchor` names, which we signed and forgot."""
    if "accepted" in anchor:
        _forget(tx, {(fault["store"], fault["tenant"]) for fault in anchor["faults"]})
    _remember(tx, [Head(**end) for end in anchor["heads"]])


def _now(own: Iterable[Head], told: Iterable[HeadTold]) -> dict[Chain, Head]:
    return {end.chain: end for end in [*own, *(_head(head) for head in told)]}


def _faults(
    tx: Tx, before: dict[Chain, Head], now: dict[Chain, Head], seen: Iterable[HeadTold]
) -> list[dict[str, Any]]:
    looked = {(DATABASE, head.tenant): head for head in seen}
    return [fault for end in before.values() if (fault := _fault(tx, end, now.get(end.chain), looked))]


def _own_heads(tx: Tx, keep: Keep) -> list[Head]:
    pairs.public_key(tx, keep, tenant=None, purpose="heads")  # that it was made is in the record, so it comes first
    while seal_batch(tx, audit, store=STORE):
        pass
    return heads(tx, audit, store=STORE)


def _signed(tx: Tx) -> dict[Chain, Head]:
    rows = tx.execute(select(anchor_heads))
    found = [Head(store=row.store, tenant=row.tenant, seq=row.seq, hash=row.hash) for row in rows]
    return {end.chain: end for end in found}


def _fault(tx: Tx, end: Head, now: Head | None, seen: dict[Chain, HeadTold]) -> dict[str, Any] | None:
    """Return what is wrong with a chain whose `end` was signed and that ends at `now`."""
    if now is None:
        return _told(end, "missing", 0)
    if now.seq < end.seq:
        return _told(end, "backwards", now.seq)
    if end.store == STORE:
        found = hash_at(tx, audit, tenant=end.tenant, seq=end.seq)
    else:
        looked = seen.get(end.chain)
        if looked is None or looked.seq != end.seq:
            raise Conflict(
                "The record was anchored meanwhile.", code="stale_heads", remedy="Ask again; it is collected anew."
            )
        found = looked.hash
    return None if found == end.hash else _told(end, "changed", now.seq)


def _went_back(now: Head, end: Head | None) -> dict[str, Any] | None:
    if end is None or now.seq > end.seq or now == end:
        return None
    return _told(end, "backwards" if now.seq < end.seq else "changed", now.seq)


def _told(end: Head, what: str, now: int) -> dict[str, Any]:
    return {"store": end.store, "tenant": end.tenant, "seq": end.seq, "now": now, "what": what}


def _remember(tx: Tx, moved: Iterable[Head]) -> None:
    ends = list(moved)
    _forget(tx, {end.chain for end in ends})
    if ends:
        tx.execute(insert(anchor_heads), [asdict(end) for end in ends])


def _forget(tx: Tx, chains: set[Chain]) -> None:
    for store, tenant in chains:
        tx.execute(delete(anchor_heads).where(anchor_heads.c.store == store, anchor_heads.c.tenant == tenant))


def _written(tx: Tx, keep: Keep, moved: list[Head], faults: list[dict[str, Any]], accepted: str) -> dict[str, Any]:
    last = _last(tx)
    number, at = (last["number"] if last else 0) + 1, _millis(keep.now())
    body = signed.anchor_body(
        number=number,
        at=at,
        prev=signed.line_mark(last["line"]) if last else signed.first(),
        heads=moved,
        key=pairs.public_key(tx, keep, tenant=None, purpose="heads"),
        faults=faults,
        accepted=accepted,
    )
    line = signed.signed_line(body, pairs.signature(tx, keep, canonical(body)))
    tx.execute(insert(anchors), {"tenant": "", "number": number, "at": at, "line": line})
    return {"number": number, "at": at, "line": line, "faults": faults}


def _last(tx: Tx) -> dict[str, Any] | None:
    row = tx.execute(select(anchors).order_by(anchors.c.number.desc()).limit(1)).mappings().first()
    return dict(row) if row else None


def _head(told: HeadTold) -> Head:
    return Head(store=DATABASE, tenant=told.tenant, seq=told.seq, hash=told.hash)


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)
