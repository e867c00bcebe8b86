"""
The chain itself: each link holds the hash of the one before it, so that nothing can be changed quietly.

Pure functions: what is stored where is not known here. A link's hash covers its canonical JSON without the hash:
always `store`, `tenant`, `seq`, `at`, `actor`, `action`, `subject`, `detail` and `prev`, and of `FACTS` what is not
empty. A tail that was cut off cannot be seen from the chain alone; it shows against a head that was signed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from freehold.audit.canonical import digest
from freehold.core.errors import Invalid

GENESIS: Final = "0" * 64
"""What the first link of a chain points to."""
FACTS: Final = (
    "way", "run", "request", "verdict", "policy", "before", "after", "arguments", "approver", "result", "text",
)  # fmt: skip
"""What a link tells only where there is something to tell."""
BESIDE: Final = frozenset({"hash", "opened"})
"""What stands on a line and is not covered by its hash: the hash, and personal text that was opened for a reader."""

Chain = tuple[str, str]
"""Store and tenant."""
What = Literal["changed", "missing", "reordered", "inserted", "replaced", "cut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One entry of a chain."""

    store: str
    tenant: str
    """Whose chain it is; empty for the platform's."""
    seq: int
    at: int
    """Milliseconds since the epoch."""
    actor: str
    action: str
    subject: str
    """What it was done to."""
    detail: dict[str, Any]
    prev: str
    hash: str
    way: str = ""
    """How the actor signed in."""
    run: str = ""
    request: str = ""
    verdict: str = ""
    policy: str = ""
    """The version whose grants decided."""
    before: str = ""
    """Hash of the object as it was, where it changed."""
    after: str = ""
    arguments: str = ""
    """Hash of connection, operation and arguments: what an approver was shown."""
    approver: str = ""
    result: str = ""
    """Hash of what came of it."""
    text: str = ""
    """Hash of the personal text that lies beside the record, encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a chain at some moment; signed and saved elsewhere, it shows a cut tail."""

    store: str
    tenant: str
    seq: int
    hash: str

    @property
    def chain(self) -> Chain:
        """Which chain it ends."""
        return self.store, self.tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first link of a chain that is not as it was written."""

    store: str
    tenant: str
    seq: int
    what: What
    row: int = 0
    """Where it stood among all that were followed, counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What verifying found: how much there was, where each chain ends and the first fault of each."""

    count: int
    heads: tuple[Head, ...] = field(default_factory=tuple)
    faults: tuple[Fault, ...] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """Whether every chain is whole."""
        return not self.faults


def start(store: str, tenant: str) -> Head:
    """Return where a chain starts, before anything was written."""
    return Head(store=store, tenant=tenant, seq=0, hash=GENESIS)


def link(prev: Head, **told: Any) -> Link:
    """Return the link that follows `prev` and tells `told`."""
    body = _following(prev, told)
    return Link(**body, hash=digest(body))


def after(prev: Head, told: Mapping[str, Any]) -> Head:
    """Return where the chain ends with the link that follows `prev` and tells `told`."""
    return Head(store=prev.store, tenant=prev.tenant, seq=prev.seq + 1, hash=digest(_following(prev, told)))


def _following(prev: Head, told: Mapping[str, Any]) -> dict[str, Any]:
    return spelt({"store": prev.store, "tenant": prev.tenant, "seq": prev.seq + 1, "prev": prev.hash, **told})


def spelt(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a link tells without the facts that are empty."""
    return {name: value for name, value in told.items() if value or name not in FACTS}


def line_of(entry: Link) -> dict[str, Any]:
    """Return `entry` as it stands on a line of an export."""
    return spelt(asdict(entry))


@dataclass(slots=True)
class _End:
    """How far a chain was followed."""

    seq: int = 0
    hash: str = GENESIS
    row: int = 0
    gaps: set[int] = field(default_factory=set)


class Following:
    """Follows chains line by line, in any mixture, and remembers the first fault of each."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.faults: dict[Chain, Fault] = {}
        self._ends: dict[Chain, _End] = {}

    def take(self, line: Mapping[str, Any], row: int) -> None:
        """Follow the link that stands on `line`, the `row`-th of all."""
        chain: Chain = line["store"], line["tenant"]
        end = self._ends.setdefault(chain, _End())
        known = type(line["seq"]) is int  # a database takes other things for a number too
        seq: int = line["seq"] if known else end.seq + 1
        if not known or line_hash(line) != line["hash"]:
            self._fault(chain, seq, "changed", row)
        elif seq <= end.seq:
            self._out_of_order(chain, seq, row, known=seq in end.gaps)
            return
        elif seq > end.seq + 1:
            self._fault(chain, end.seq + 1, "missing", row)
            end.gaps.update(range(end.seq + 1, min(seq, end.seq + 100)))
        elif line["prev"] != end.hash:
            # Both stand by themselves, and the later one continues another: the earlier one took its place.
            self._fault(chain, end.seq or seq, "replaced", end.row or row)
        end.seq, end.hash, end.row = max(seq, end.seq), line["hash"], row

    def heads(self) -> tuple[Head, ...]:
        """Return where each chain ended."""
        return tuple(Head(store=s, tenant=t, seq=end.seq, hash=end.hash) for (s, t), end in self._ends.items())

    def row(self, chain: Chain) -> int:
        """Return where the last link of a chain stood."""
        return self._ends[chain].row if chain in self._ends else 0

    def _out_of_order(self, chain: Chain, seq: int, row: int, *, known: bool) -> None:
        first = self.faults.get(chain)
        if known and first is not None and first.what == "missing":
            # What was missed came later: nothing is gone, the order was changed.
            self.faults[chain] = Fault(store=chain[0], tenant=chain[1], seq=first.seq, what="reordered", row=first.row)
        self._fault(chain, seq, "reordered" if known else "inserted", row)

    def _fault(self, chain: Chain, seq: int, what: What, row: int) -> None:
        if chain not in self.faults:
            self.faults[chain] = Fault(store=chain[0], tenant=chain[1], seq=seq, what=what, row=row)


def verify(links: Iterable[Link], *, saved: Iterable[Head] = ()) -> Report:
    """
    Follow every chain in the order given and name the first fault of each.

    `saved` are heads kept from earlier: a chain that ends before one of them, or went another way,
    was cut or written anew.
    """
    anchors = {(head.chain, head.seq): head.hash for head in saved}
    following = Following()
    count = 0
    for count, found in enumerate(links, start=1):
        following.take(line_of(found), count)
        chain = found.store, found.tenant
        if anchors.get((chain, found.seq), found.hash) != found.hash and chain not in following.faults:
            following.faults[chain] = Fault(
                store=found.store, tenant=found.tenant, seq=found.seq, what="replaced", row=count
            )
    ends = {head.chain: head for head in following.heads()}
    for chain, seq in sorted(anchors):
        end = ends.get(chain, start(*chain))
        if end.seq < seq and chain not in following.faults:
            following.faults[chain] = Fault(store=chain[0], tenant=chain[1], seq=end.seq + 1, what="cut")
    return Report(count=count, heads=tuple(ends.values()), faults=tuple(following.faults.values()))


def line_hash(line: Mapping[str, Any]) -> str:
    """Return the hash a line should have; nothing for what cannot be spelt: that was put there by somebody else."""
    try:
        return digest({name: value for name, value in line.items() if name not in BESIDE})
    except Invalid:
        return ""
