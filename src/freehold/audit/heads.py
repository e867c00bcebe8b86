"""
Signed heads: the ends of chains at some moment, under the gateway's Ed25519 key.

An *anchor* is made every hour and kept in a second place: it has a number, the hash of the anchor before it, and
the ends that moved since. A *head* is the last line of an export and names the ends of what stands above it. The
signature covers the canonical JSON of the line without the signature.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final, cast

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from freehold.audit.canonical import canonical
from freehold.audit.chain import GENESIS, Head
from freehold.core.errors import Invalid

ANCHOR: Final = "anchor"
HEAD: Final = "head"
EVERY_TENANT: Final = "*"
"""What the head of a whole store's export says instead of a tenant."""
FILE: Final = "freehold-anchors.jsonl"
"""The file of anchors in the second place."""


def told(head: Head) -> dict[str, Any]:
    """Return a head as it stands in a signed line."""
    return asdict(head)


def anchor_body(
    *, number: int, at: int, prev: str, heads: Iterable[Head], key: str, faults: list[dict[str, Any]], accepted: str
) -> dict[str, Any]:
    """Return what an anchor says, to be signed; `accepted` is who took its faults as right after a restore."""
    body: dict[str, Any] = {
        "kind": ANCHOR,
        "number": number,
        "at": at,
        "prev": prev,
        "heads": [told(head) for head in heads],
        "key": key,
    }
    return body | ({"faults": faults} if faults else {}) | ({"accepted": accepted} if faults and accepted else {})


def export_body(
    *,
    at: int,
    tenant: str,
    stores: Iterable[str],
    heads: Iterable[Head],
    anchor: Mapping[str, Any] | None,
    key: str,
    faults: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return what the last line of an export says, to be signed."""
    body: dict[str, Any] = {
        "kind": HEAD,
        "at": at,
        "tenant": tenant,
        "stores": sorted(stores),
        "heads": [told(head) for head in heads],
        "key": key,
    }
    return body | ({"faults": faults} if faults else {}) | ({"anchor": dict(anchor)} if anchor else {})


def signed_line(body: Mapping[str, Any], signature: str) -> str:
    """Return the line that `body` and its signature make."""
    return canonical({**body, "signature": signature}).decode()


def parsed(line: str) -> dict[str, Any]:
    """Return what a line of ours says."""
    return dict(json.loads(line))


def line_mark(line: str) -> str:
    """Return the hash of a whole signed line: what the anchor after it points to."""
    return hashlib.sha256(line.encode()).hexdigest()


def first() -> str:
    """Return what the first anchor points to."""
    return GENESIS


def is_signed(line: Mapping[str, Any], key: str) -> bool:
    """Return whether `line` carries a signature of `key` (in hexadecimal) over the rest of it."""
    body = {name: value for name, value in line.items() if name != "signature"}
    try:
        VerifyKey(bytes.fromhex(key)).verify(canonical(body), bytes.fromhex(str(line.get("signature", ""))))
    except (BadSignatureError, ValueError, TypeError, Invalid):
        return False
    return True


def are_ends(told: object) -> bool:
    """Return whether `told` has the form of ends of chains."""
    return _each(told, "store", "tenant", "hash")


def are_faults(told: object) -> bool:
    """Return whether `told` has the form of what the gateway found wrong with chains."""
    return _each(told, "store", "tenant", "what") and all("now" in fault for fault in cast("list[Any]", told))


def _each(told: object, *texts: str) -> bool:
    return isinstance(told, list) and all(
        isinstance(one, dict) and all(isinstance(one.get(name), str) for name in texts) and type(one.get("seq")) is int
        for one in told
    )
