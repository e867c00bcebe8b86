"""
An exported record, judged without any database: whether it is whole, all there, and signed by the gateway.

`tools/verify_audit.py` does the same without any package; a test holds both to one word.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from freehold.audit.anchors import Anchors, moment, named, plain, said
from freehold.audit.canonical import digest
from freehold.audit.chain import Chain, Fault, Following
from freehold.audit.heads import EVERY_TENANT, HEAD, are_ends, are_faults, is_signed
from freehold.audit.lines import read_line
from freehold.core.errors import Invalid

REASONS: Final = {
    "changed": "it was changed: its hash does not fit",
    "missing": "number {seq} of {chain} is missing before it",
    "reordered": "it stands out of order",
    "inserted": "it was inserted: number {seq} of {chain} stands there already",
    "replaced": "it was replaced: what follows it continues another row",
}
_TEXTS: Final = ("store", "tenant", "prev", "hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What verifying an export found, as people read it."""

    ok: bool
    count: int
    """How many rows there are."""
    chains: int
    signed_at: int | None
    whose: str
    """Whose record the head says it is, and from which stores; empty without a head."""
    faults: tuple[str, ...]
    """`row N: reason` and `anchor N: reason`."""
    notes: tuple[str, ...]


def verify_file(path: Path, *, key: str = "", anchor_file: Path | None = None, tenant: str | None = None) -> Found:
    """
    Verify the export in `path`, which should be that of `tenant` (`platform`: its own chain; `*`: everything).

    Without a `key` nothing signed is believed or doubted, and a note says so.
    """
    anchors = None if anchor_file is None else Anchors()
    if anchors is not None and anchor_file is not None:
        with _opened(anchor_file) as file:
            anchors.read(file, key)
    record = _Record(key, anchors, tenant)
    anchors = record.anchors
    with _opened(path) as file:
        faults = record.read(file)
    beside = [fault for fault in anchors.faults if fault.chain is None or record.covers(fault.chain)]
    told = [f"row {row}: {reason}" for row, reason in faults]
    told += [f"anchor {fault.number}: {fault.reason}" for fault in beside]
    notes = [text for chain, text in anchors.notes if record.covers(chain)]
    if anchors.first > 1:
        notes.append(f"the anchor file begins at anchor {anchors.first}: what only older ones knew was not compared")
    return Found(
        ok=not told,
        count=record.rows,
        chains=len(record.following.heads()),
        signed_at=record.head["at"] if record.head else None,
        whose=_whose(record.head) if record.head else "",
        faults=tuple(told),
        notes=tuple(notes if key else [*notes, "signatures were not looked at: give the key with --key"]),
    )


@final
class _Record:
    """An exported record, followed line by line."""

    def __init__(self, key: str, anchors: Anchors | None, tenant: str | None) -> None:
        self.key, self.tenant = key, tenant
        self.anchors, self.anchored = anchors or Anchors(), anchors is not None
        self.following = Following()
        self.faults: list[tuple[int, str]] = []
        self.rows = self.lines = self.head_row = 0
        self.head: dict[str, Any] | None = None
        self.reasons: dict[Chain, str] = {}
        """Why, for faults that the chain alone does not show."""

    def read(self, lines: Iterable[str]) -> list[tuple[int, str]]:
        """Read all lines, judge the whole at the end, and return rows and reasons."""
        for row, raw in enumerate(lines, start=1):
            self.lines = row
            self._line(row, raw.rstrip("\n"))
        if self.head is None:
            self.faults.append((self.lines + 1, "the signed head is missing: the end was cut off"))
        else:
            self._judge_head(self.head, self.head_row)
        self._judge_anchors()
        chains = ((fault.row, self._reason(fault)) for fault in self.following.faults.values())
        return sorted([*self.faults, *chains])

    def covers(self, chain: Chain) -> bool:
        """Return whether a chain should be in this export."""
        if self.head is None:
            return any(head.chain == chain for head in self.following.heads())
        return chain[0] in self.head["stores"] and self.head["tenant"] in {EVERY_TENANT, chain[1]}

    def _line(self, row: int, line: str) -> None:
        try:
            found = read_line(line)
        except Invalid:
            found = {}
        if found.get("kind") == HEAD:
            self._take_head(found, row)
            return
        if not all(isinstance(found.get(name), str) for name in _TEXTS) or type(found.get("seq")) is not int:
            self.faults.append((row, "it is no line of a record as it was written"))
            return
        self.rows += 1
        if self.head is not None:
            self.faults.append((row, "it stands behind the head"))
            return
        self.following.take(found, row)
        self._beside(found, row)

    def _take_head(self, found: dict[str, Any], row: int) -> None:
        if self.head is None:
            self.head, self.head_row = found, row
        else:
            self.faults.append((row, "it stands behind the head"))

    def _beside(self, found: Mapping[str, Any], row: int) -> None:
        chain = found["store"], found["tenant"]
        anchored = self.anchors.ends.get(chain, {}).get(found["seq"])
        if anchored and anchored.hash != found["hash"]:
            about = f"anchor {anchored.number} of {moment(anchored.at)}"
            self._fault(chain, row, f"it was replaced: {about} signed another")
        if "opened" in found and digest(found["opened"]) != found.get("text"):
            self.faults.append((row, "the personal text beside it is not what was written"))

    def _judge_head(self, head: dict[str, Any], row: int) -> None:
        forged = bool(self.key) and not is_signed(head, self.key)
        if forged or not _is_head(head):
            why = "the head is forged: its signature does not fit the key"
            self.faults.append((row, why if forged else "it is no head as it was written"))
            self.head = None
            return
        self.faults += [(row, said(fault)) for fault in head.get("faults", [])]
        if self.tenant is not None and head["tenant"] != ("" if self.tenant == "platform" else self.tenant):
            self.faults.append((row, f"this is the record of {_whose(head)}, and not of {self.tenant}"))
        signed = {(end["store"], end["tenant"]): end for end in head["heads"]}
        ends = {end.chain: end for end in self.following.heads()}
        for chain, end in sorted(signed.items()):
            here = ends.get(chain)
            seq = here.seq if here else 0
            if seq < end["seq"]:
                self._fault(chain, row, f"{named(chain)} was cut: it ends at {seq}, and the head says {end['seq']}")
            elif here and seq == end["seq"] and here.hash != end["hash"]:
                self._fault(chain, self.following.row(chain), "it was replaced: the head signed another")
        for chain, here in sorted(ends.items()):
            if chain not in signed or here.seq > signed[chain]["seq"]:
                self._fault(chain, self.following.row(chain), f"{named(chain)} goes on behind its signed end")

    def _judge_anchors(self) -> None:
        ends = {end.chain: end.seq for end in self.following.heads()}
        row = self.head_row or self.lines + 1
        for chain, known in sorted(self.anchors.ends.items()):
            seq = max(known, default=0)
            if self.covers(chain) and ends.get(chain, 0) < seq:
                anchor = f"anchor {known[seq].number} of {moment(known[seq].at)} knows {named(chain)} up to {seq}"
                here = f"here it ends at {ends.get(chain, 0)}"
                self._fault(chain, row, f"cut, or older than its anchors: {anchor}, {here}")
        missing = self.anchors.missing((self.head or {}).get("anchor")) if self.anchored else ""
        if missing:
            self.faults.append((row, missing))

    def _fault(self, chain: Chain, row: int, reason: str) -> None:
        if chain not in self.following.faults:
            self.following.faults[chain] = Fault(store=chain[0], tenant=chain[1], seq=0, what="cut", row=row)
            self.reasons[chain] = reason

    def _reason(self, fault: Fault) -> str:
        chain = fault.store, fault.tenant
        return self.reasons.get(chain) or REASONS[fault.what].format(seq=fault.seq, chain=named(chain))


def _is_head(head: Mapping[str, Any]) -> bool:
    """Return whether an object has the form of a head; whether it is one, its signature says."""
    stores, anchor = head.get("stores"), head.get("anchor", {"number": 0, "hash": ""})
    return (
        are_ends(head.get("heads"))
        and are_faults(head.get("faults", []))
        and isinstance(head.get("tenant"), str)
        and type(head.get("at")) is int
        and isinstance(stores, list)
        and all(isinstance(store, str) for store in stores)
        and isinstance(anchor, dict)
        and type(anchor.get("number")) is int
        and isinstance(anchor.get("hash"), str)
    )


def _whose(head: Mapping[str, Any]) -> str:
    """Return whose record a head ends, as people read it."""
    whose = {EVERY_TENANT: "everybody", "": "the platform"}.get(head["tenant"], head["tenant"])
    return plain(f"{whose} in {' and '.join(head['stores']) or 'no store'}")


def _opened(path: Path) -> Any:
    return path.open(encoding="utf-8", errors="surrogateescape", newline="\n")
