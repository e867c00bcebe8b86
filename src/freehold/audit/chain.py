"""
The chain itself: each link holds the hash of the one before it, so that nothing can be changed quietly.

Pure functions: what is stored where is not known here. A tail that was cut off cannot be seen from
the chain alone; it shows against a head that was saved elsewhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from freehold.audit.canonical import digest
from freehold.core.errors import Invalid

GENESIS = "0" * 64
"""What the first link of a chain points to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One entry of a chain."""

    tenant: str
    """Whose chain it is; empty for the platform's."""
    seq: int
    at: int
    """Milliseconds since the epoch."""
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    prev: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a chain at some moment; saved elsewhere, it shows a cut tail."""

    tenant: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first link of a chain that is not as it was written."""

    tenant: str
    seq: int
    what: str
    """`changed`, `missing`, `reordered` or `cut`."""


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


def link(prev: Head, *, at: int, actor: str, action: str, subject: str, detail: Mapping[str, Any]) -> Link:
    """Return the link that follows `prev`."""
    body: dict[str, Any] = {
        "tenant": prev.tenant,
        "seq": prev.seq + 1,
        "at": at,
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": dict(detail),
        "prev": prev.hash,
    }
    return Link(**body, hash=digest(body))


def start(tenant: str) -> Head:
    """Return where the chain of `tenant` starts, before anything was written."""
    return Head(tenant=tenant, seq=0, hash=GENESIS)


def verify(links: Iterable[Link], *, saved: Iterable[Head] = ()) -> Report:
    """
    Follow every chain in the order given and name the first fault of each.

    `saved` are heads kept from earlier: a chain that ends before one of them, or went another way,
    was cut or written anew.
    """
    anchors = {(head.tenant, head.seq): head.hash for head in saved}
    heads: dict[str, Head] = {}
    faults: dict[str, Fault] = {}
    count = 0
    for found in links:
        count += 1
        before = heads.get(found.tenant, start(found.tenant))
        what = _wrong(found, before, anchors.get((found.tenant, found.seq)))
        if what and found.tenant not in faults:
            seq = found.seq if what != "missing" else before.seq + 1
            faults[found.tenant] = Fault(tenant=found.tenant, seq=seq, what=what)
        heads[found.tenant] = Head(tenant=found.tenant, seq=found.seq, hash=found.hash)
    for tenant, seq in sorted(anchors):
        end = heads.get(tenant, start(tenant))
        if end.seq < seq and tenant not in faults:
            faults[tenant] = Fault(tenant=tenant, seq=end.seq + 1, what="cut")
    return Report(count=count, heads=tuple(heads.values()), faults=tuple(faults.values()))


def _wrong(found: Link, before: Head, anchored: str | None) -> str:
    if found.seq <= before.seq:
        return "reordered"
    if found.seq > before.seq + 1:
        return "missing"
    same = _hash(found) == found.hash and found.prev == before.hash and anchored in {None, found.hash}
    return "" if same else "changed"


def _hash(found: Link) -> str:
    body = asdict(found)
    del body["hash"]
    try:
        return digest(body)
    except Invalid:
        return ""  # nothing we wrote: what cannot be spelt was put there by somebody else
