"""
The signed ends that were kept elsewhere, read back: what they say a record must hold.

`tools/verify_audit.py` does the same without any package; a test holds both to one word.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, final

from freehold.audit.canonical import canonical
from freehold.audit.chain import Chain
from freehold.audit.heads import ANCHOR, are_ends, are_faults, first, is_signed, line_mark
from freehold.audit.lines import read_line
from freehold.core.errors import Invalid

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FOUND: Final = {"missing": "is gone", "backwards": "went back", "changed": "was changed"}


@dataclass(frozen=True, slots=True)
class Anchored:
    """One signed end."""

    hash: str
    number: int
    at: int


@dataclass(frozen=True, slots=True)
class AnchorFault:
    """What is wrong with an anchor, or what it says is wrong."""

    number: int
    chain: Chain | None
    reason: str


@final
@dataclass(slots=True)
class Anchors:
    """What the anchors say."""

    ends: dict[Chain, dict[int, Anchored]] = field(default_factory=dict)
    faults: list[AnchorFault] = field(default_factory=list)
    notes: list[tuple[Chain, str]] = field(default_factory=list)
    marks: dict[int, str] = field(default_factory=dict)
    first: int = 1
    """The number of the anchor that the file begins with."""
    last: dict[str, Any] | None = None

    def read(self, lines: Iterable[str], key: str) -> None:
        """Read anchors line by line; without a `key` (in hexadecimal) signatures are not looked at."""
        before = ""
        for n, raw in enumerate(lines, start=1):
            line = raw.rstrip("\n")
            if not line.strip() or line == before:
                continue  # written twice: a crash fell between writing and remembering
            try:
                found = read_line(line)
                line = canonical(found).decode()
                self._take(found, line, before)
            except (Invalid, KeyError, TypeError, ValueError):
                number = self.last["number"] + 1 if self.last else n
                self.faults.append(AnchorFault(number, None, "it is no anchor as it was written"))
                return
            before = line
        # Each points to the one before it, so the last signature covers them all.
        if self.last and key and not is_signed(self.last, key):
            self._wrong(self.last["number"], "it is forged: its signature does not fit the key")

    def _take(self, anchor: dict[str, Any], line: str, before: str) -> None:
        number = anchor["number"]
        if not _is_anchor(anchor):
            raise ValueError("This is no anchor.")
        self.first = self.first if self.last else number
        if self.last and number != self.last["number"] + 1:
            self._wrong(number, f"anchor {self.last['number'] + 1} is missing before it")
        elif (self.last or number == 1) and anchor["prev"] != (line_mark(before) if self.last else first()):
            self._wrong(number, "it does not follow the anchor before it")
        for fault in anchor.get("faults", []):
            self._found(anchor, fault)
        for head in anchor["heads"]:
            chain = head["store"], head["tenant"]
            self.ends.setdefault(chain, {})[head["seq"]] = Anchored(head["hash"], number, anchor["at"])
        self.last, self.marks[number] = anchor, line_mark(line)

    def _found(self, anchor: Mapping[str, Any], fault: Mapping[str, Any]) -> None:
        chain = fault["store"], fault["tenant"]
        if "accepted" not in anchor:
            self.faults.append(AnchorFault(anchor["number"], chain, said(fault)))
            return
        self.ends.pop(chain, None)
        about = f"anchor {anchor['number']} of {moment(anchor['at'])}: {anchor['accepted']} took {named(chain)}"
        self.notes.append((chain, f"{about} as restored: it went from number {fault['seq']} to {fault['now']}"))

    def missing(self, told: Mapping[str, Any] | None) -> str:
        """Return why these are not the anchors that a head `told` of; nothing where they are."""
        number = told["number"] if told else 0
        last = self.last["number"] if self.last else 0
        if not told or self.marks.get(number) == told["hash"]:
            return ""
        if last < number:
            return f"the head knows anchor {number}, and the anchor file ends at {last}: it was cut or is old"
        if number < self.first:
            return f"the head knows anchor {number}, and the anchor file begins at {self.first}: it was cut"
        return f"the head knows another anchor {number} than the anchor file"

    def _wrong(self, number: int, reason: str) -> None:
        self.faults.append(AnchorFault(number, None, reason))


def _is_anchor(anchor: Mapping[str, Any]) -> bool:
    """Return whether an object has the form of an anchor; whether it is one, its signature says."""
    return (
        anchor["kind"] == ANCHOR
        and type(anchor["number"]) is int
        and anchor["number"] > 0
        and are_ends(anchor["heads"])
        and are_faults(anchor.get("faults", []))
    )


def said(fault: Mapping[str, Any]) -> str:
    """Return what the gateway found, in words."""
    what = _FOUND.get(fault["what"], fault["what"])
    found = f"it had signed number {fault['seq']} and found {fault['now']}"
    return f"the gateway says {named((fault['store'], fault['tenant']))} {what}: {found}"


def named(chain: Chain) -> str:
    """Return a chain as people read it."""
    return plain(f"{chain[0]}/{chain[1] or 'platform'}")


def plain(name: str) -> str:
    """Return a name that somebody may have made up so that it cannot pass for a line of ours."""
    return name if name.isprintable() else repr(name)


def moment(millis: object) -> str:
    """Return a time as people read it."""
    try:
        return f"{EPOCH + timedelta(milliseconds=millis):%Y-%m-%d %H:%M:%SZ}"  # type: ignore[arg-type]
    except (OverflowError, TypeError):
        return repr(millis)
