#!/usr/bin/env python3
"""
Verify an exported audit record with nothing but Python (3.8 or newer): no packages, no platform, no network.

    python3 verify_audit.py FILE --key PUB [--anchor FILE] [--tenant T]

FILE is what `freehold audit export` wrote. PUB is the platform's public key (64 hexadecimal digits, or a file that
holds them; `freehold audit key` prints it): take it from where nobody who could change the record can change the
key. The anchor file is `freehold-anchors.jsonl` from the second place. T is the id of the tenant whose record it
should be (`platform`: the platform's own; `*`: everybody's). Prints `row N: reason` for what is not as it
was written, N being the line of FILE, and `anchor N: reason` for the anchors. Ends with 0 for a whole record,
1 for faults, 2 for wrong use.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:  # old Pythons know these types only by other names
    from collections.abc import Iterable

    Chain = tuple[str, str]
    Point = tuple[int, int, int, int]
    Object = dict[str, Any]

GENESIS = "0" * 64
BESIDE = ("hash", "opened")
MAX_INT = (1 << 53) - 1
KEY_BYTES, SIGNATURE_BYTES = 32, 64


class Bad(Exception):
    """What was read is not what it should be."""


# --- Ed25519, RFC 8032 section 5.1: verification only, so nothing here has to be secret or fast -----------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def _x_of(y: int, sign: int) -> int | None:
    """Return the x of the point with this y whose lowest bit is `sign`, or None."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P:
        return None
    return P - x if (x & 1) != sign else x


def _point(raw: bytes) -> Point | None:
    number = int.from_bytes(raw, "little")
    y = number & ((1 << 255) - 1)
    x = _x_of(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % P)


def _add(p: Point, q: Point) -> Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _times(factor: int, point: Point) -> Point:
    total = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = _add(total, point)
        point = _add(point, point)
        factor >>= 1
    return total


def _is_small(point: Point) -> bool:
    x, y, z, _ = _times(8, point)
    return x % P == 0 and (y - z) % P == 0


_BASE_Y = 4 * pow(5, P - 2, P) % P
_BASE_X = _x_of(_BASE_Y, 0) or 0
BASE = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P)


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` (64 bytes) is that of `message` under the key `public` (32 bytes)."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    key, r = _point(public), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L or _is_small(key) or _is_small(r):
        return False  # under a point of small order anything would be signed
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = _times(s, BASE), _add(r, _times(h, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# --- RFC 8785: the one spelling of a JSON value ------------------------------------------------------------------


def canonical(value: Any) -> str:  # noqa: PLR0911 - one per kind
    """Return `value` as canonical JSON text; raise `Bad` where there is none."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        if abs(value) > MAX_INT:
            raise Bad
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        return "[" + ",".join([canonical(item) for item in value]) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join([json.dumps(name, ensure_ascii=False) + ":" + canonical(value[name]) for name in names]) + "}"


def _number(value: float) -> str:
    """Return a fraction as ECMAScript writes it: Python finds the same digits and sets them otherwise."""
    if not math.isfinite(value):
        raise Bad
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = (f"{abs(value)!r}").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        text = digits.ljust(point, "0") if len(digits) <= point else digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{point - 1:+d}"
    return sign + text


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical bytes of `value`, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def read_line(line: str) -> Object:
    """Return the object on a line; raise `Bad` where there is none, or more than one reading of it."""
    try:
        found = json.loads(line, object_pairs_hook=_once)
        canonical(found).encode()
    except (ValueError, RecursionError, TypeError):
        raise Bad from None
    if not isinstance(found, dict):
        raise Bad
    return found


def _once(pairs: list[tuple[str, Any]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Bad  # a name stands there twice: another reader would take the other value
    return found


# --- The record --------------------------------------------------------------------------------------------------


def named(chain: Chain) -> str:
    """Return a chain as people read it."""
    name = "{}/{}".format(chain[0], chain[1] or "platform")
    return name if name.isprintable() else repr(name)


def moment(millis: Any) -> str:
    """Return a time as people read it."""
    try:
        return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=millis)).strftime(
            "%Y-%m-%d %H:%M:%SZ"
        )
    except (OverflowError, TypeError):
        return repr(millis)


class Anchors:
    """The signed ends that were kept elsewhere."""

    def __init__(self) -> None:
        self.ends: dict[
            Chain, dict[int, tuple[str, int, int]]
        ] = {}  # chain -> seq -> hash, number and time of the anchor
        self.faults: list[tuple[int, Chain | None, str]] = []  # number of the anchor, whom it concerns, reason
        self.notes: list[tuple[Chain, str]] = []
        self.marks: dict[int, str] = {}  # number -> hash of the line
        self.first = 1  # the number that the file begins with
        self.last: Object | None = None

    def read(self, lines: Iterable[str], key: bytes) -> None:
        """Read anchors line by line; `key` is the public key."""
        before = ""
        for n, raw in enumerate(lines, 1):
            line = raw.rstrip("\n")
            if not line.strip() or line == before:
                continue  # written twice: a crash fell between writing and remembering
            try:
                found = read_line(line)
                line = canonical(found)  # as it was signed, however it was copied
                self._take(found, line, before)
            except (Bad, KeyError, TypeError, ValueError):
                self.faults.append(
                    (self.last["number"] + 1 if self.last else n, None, "it is no anchor as it was written")
                )
                return
            before = line
        # Each points to the one before it, so the last signature covers them all.
        if self.last and not is_signed(self.last, key):
            self.faults.append((self.last["number"], None, "it is forged: its signature does not fit the key"))

    def _take(self, anchor: Object, line: str, before: str) -> None:
        number = anchor["number"]
        ends, faults = anchor["heads"], anchor.get("faults", [])
        if anchor["kind"] != "anchor" or not is_number(number) or not are_ends(ends) or not are_faults(faults):
            raise Bad
        self.first = self.first if self.last else number
        if self.last and number != self.last["number"] + 1:
            self.faults.append((number, None, f"anchor {self.last['number'] + 1} is missing before it"))
        elif (self.last or number == 1) and anchor["prev"] != (mark(before) if self.last else GENESIS):
            self.faults.append((number, None, "it does not follow the anchor before it"))
        for fault in anchor.get("faults", []):
            self._accept_or_fault(anchor, fault)
        for head in anchor["heads"]:
            chain = (head["store"], head["tenant"])
            self.ends.setdefault(chain, {})[head["seq"]] = (head["hash"], number, anchor["at"])
        self.last, self.marks[number] = anchor, mark(line)

    def _accept_or_fault(self, anchor: Object, fault: Object) -> None:
        chain = (fault["store"], fault["tenant"])
        if "accepted" in anchor:
            self.ends.pop(chain, None)
            about = f"anchor {anchor['number']} of {moment(anchor['at'])}: {anchor['accepted']} took {named(chain)}"
            text = f"{about} as restored: it went from number {fault['seq']} to {fault['now']}"
            self.notes.append((chain, text))
        else:
            self.faults.append((anchor["number"], chain, said(fault)))

    def missing(self, told: Object | None) -> str:
        """Return why these are not the anchors that a head told of; nothing where they are."""
        number = told["number"] if told else 0
        last = self.last["number"] if self.last else 0
        if not told or self.marks.get(number) == told["hash"]:
            return ""
        if last < number:
            return f"the head knows anchor {number}, and the anchor file ends at {last}: it was cut or is old"
        if number < self.first:
            return f"the head knows anchor {number}, and the anchor file begins at {self.first}: it was cut"
        return f"the head knows another anchor {number} than the anchor file"


def is_number(told: Any) -> bool:
    """Return whether `told` may be the number of an anchor."""
    return type(told) is int and told > 0


def are_ends(told: Any) -> bool:
    """Return whether `told` has the form of ends of chains."""
    return each(told, ("store", "tenant", "hash"))


def are_faults(told: Any) -> bool:
    """Return whether `told` has the form of what the gateway found wrong with chains."""
    return each(told, ("store", "tenant", "what")) and all("now" in fault for fault in told)


def each(told: Any, texts: Iterable[str]) -> bool:
    """Return whether `told` lists objects, each with these texts and a number."""
    return isinstance(told, list) and all(
        isinstance(one, dict) and all(isinstance(one.get(name), str) for name in texts) and type(one.get("seq")) is int
        for one in told
    )


def is_head(head: Object) -> bool:
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


def whose(head: Object) -> str:
    """Return whose record a head ends, as people read it."""
    tenant = {"*": "everybody", "": "the platform"}.get(head["tenant"], head["tenant"])
    name = "{} in {}".format(tenant, " and ".join(head["stores"]) or "no store")
    return name if name.isprintable() else repr(name)


def said(fault: Object) -> str:
    """Return what the gateway found, in words."""
    chain = (fault["store"], fault["tenant"])
    words = {"missing": "is gone", "backwards": "went back", "changed": "was changed"}
    what = words.get(fault["what"], fault["what"])
    found = f"it had signed number {fault['seq']} and found {fault['now']}"
    return f"the gateway says {named(chain)} {what}: {found}"


def mark(line: str) -> str:
    """Return the hash of a whole line: what the anchor after it points to."""
    return hashlib.sha256(line.encode()).hexdigest()


def is_signed(line: Object, key: bytes) -> bool:
    """Return whether a line carries a signature of `key` over the rest of it."""
    body = {name: value for name, value in line.items() if name != "signature"}
    try:
        return signed_by(key, canonical(body).encode(), bytes.fromhex(line["signature"]))
    except (Bad, KeyError, TypeError, ValueError):
        return False


class Record:
    """An exported record, followed line by line."""

    def __init__(self, key: bytes, anchors: Anchors | None, tenant: str | None = None) -> None:
        self.key, self.tenant = key, tenant
        self.anchors, self.anchored = anchors or Anchors(), anchors is not None
        self.ends: dict[Chain, list[Any]] = {}  # chain -> seq, hash, row, numbers that were missed
        self.chain_faults: dict[Chain, tuple[int, str, bool]] = {}  # chain -> row, reason, whether rows were missing
        self.faults: list[tuple[int, str]] = []
        self.rows = self.lines = 0
        self.head: Object | None = None
        self.head_row = 0

    def read(self, lines: Iterable[str]) -> list[tuple[int, str]]:
        """Read all lines, and judge the whole at the end."""
        for row, raw in enumerate(lines, 1):
            self.lines = row
            self._line(row, raw.rstrip("\n"))
        if self.head is None:
            self.faults.append((self.lines + 1, "the signed head is missing: the end was cut off"))
        else:
            self._judge_head(self.head, self.head_row)
        self._judge_anchors()
        return sorted(self.faults + [fault[:2] for fault in self.chain_faults.values()])

    def _line(self, row: int, line: str) -> None:
        try:
            found = read_line(line)
            if found.get("kind") == "head":
                if self.head is None:
                    self.head, self.head_row = found, row
                else:
                    self.faults.append((row, "it stands behind the head"))
                return
            chain = (found["store"], found["tenant"])
            texts = all(isinstance(found[name], str) for name in ("store", "tenant", "prev", "hash"))
        except (Bad, KeyError):
            found, chain, texts = {}, ("", ""), False
        if not texts or type(found.get("seq")) is not int:
            self.faults.append((row, "it is no line of a record as it was written"))
            return
        self.rows += 1
        if self.head is not None:
            self.faults.append((row, "it stands behind the head"))
            return
        self._follow(chain, found, row)
        self._beside(chain, found, row)

    def _follow(self, chain: Chain, found: Object, row: int) -> None:
        end = self.ends.setdefault(chain, [0, GENESIS, 0, set()])
        seq = found["seq"]
        if digest({name: value for name, value in found.items() if name not in BESIDE}) != found["hash"]:
            self._fault(chain, row, "it was changed: its hash does not fit")
        elif seq <= end[0]:
            self._out_of_order(chain, seq, row, missed=seq in end[3])
            return
        elif seq > end[0] + 1:
            self._fault(chain, row, f"number {end[0] + 1} of {named(chain)} is missing before it", missing=True)
            end[3].update(range(end[0] + 1, min(seq, end[0] + 100)))
        elif found["prev"] != end[1]:
            self._fault(chain, end[2] or row, "it was replaced: what follows it continues another row")
        end[0], end[1], end[2] = max(seq, end[0]), found["hash"], row

    def _beside(self, chain: Chain, found: Object, row: int) -> None:
        anchored = self.anchors.ends.get(chain, {}).get(found["seq"])
        if anchored and anchored[0] != found["hash"]:
            self._fault(chain, row, f"it was replaced: anchor {anchored[1]} of {moment(anchored[2])} signed another")
        if "opened" in found and digest(found["opened"]) != found.get("text"):
            self.faults.append((row, "the personal text beside it is not what was written"))

    def _out_of_order(self, chain: Chain, seq: int, row: int, *, missed: bool) -> None:
        first = self.chain_faults.get(chain)
        if missed and first and first[2]:
            self.chain_faults[chain] = (first[0], "it stands out of order", False)
        elif missed:
            self._fault(chain, row, "it stands out of order")
        else:
            self._fault(chain, row, f"it was inserted: number {seq} of {named(chain)} stands there already")

    def _fault(self, chain: Chain, row: int, reason: str, *, missing: bool = False) -> None:
        self.chain_faults.setdefault(chain, (row, reason, missing))

    def _judge_head(self, head: Object, row: int) -> None:
        forged = not is_signed(head, self.key)
        if forged or not is_head(head):
            why = "the head is forged: its signature does not fit the key"
            self.faults.append((row, why if forged else "it is no head as it was written"))
            self.head = None
            return
        if self.tenant is not None and head["tenant"] != ("" if self.tenant == "platform" else self.tenant):
            self.faults.append((row, f"this is the record of {whose(head)}, and not of {self.tenant}"))
        self.faults += [(row, said(fault)) for fault in head.get("faults", [])]
        self._judge_ends({(end["store"], end["tenant"]): end for end in head["heads"]}, row)

    def _judge_ends(self, signed: dict[Chain, Object], row: int) -> None:
        for chain, end in sorted(signed.items()):
            seq, last, at, _ = self.ends.get(chain, [0, GENESIS, 0, None])
            if seq < end["seq"]:
                self._fault(chain, row, f"{named(chain)} was cut: it ends at {seq}, and the head says {end['seq']}")
            elif seq == end["seq"] and last != end["hash"]:
                self._fault(chain, at, "it was replaced: the head signed another")
        for chain, here in sorted(self.ends.items()):
            if chain not in signed or here[0] > signed[chain]["seq"]:
                self._fault(chain, here[2], f"{named(chain)} goes on behind its signed end")

    def _judge_anchors(self) -> None:
        anchors, row = self.anchors, self.head_row or self.lines + 1
        for chain, ends in sorted(anchors.ends.items()):
            if not ends or not self.covers(chain):
                continue
            seq, end = max(ends), self.ends.get(chain, [0])[0]
            if end < seq:
                known = f"anchor {ends[seq][1]} of {moment(ends[seq][2])} knows {named(chain)} up to {seq}"
                self._fault(chain, row, f"cut, or older than its anchors: {known}, here it ends at {end}")
        missing = anchors.missing((self.head or {}).get("anchor")) if self.anchored else ""
        if missing:
            self.faults.append((row, missing))

    def covers(self, chain: Chain) -> bool:
        """Return whether a chain should be in this export."""
        if self.head is None:
            return chain in self.ends
        return chain[0] in self.head["stores"] and self.head["tenant"] in ("*", chain[1])


def key_of(text: str) -> bytes:
    """Return the public key that was named, as it is or in a file."""
    stated = text
    if len(text) != 2 * KEY_BYTES and Path(text).is_file():
        stated = Path(text).read_text(encoding="ascii", errors="replace").strip()
    try:
        key = bytes.fromhex(stated)
    except ValueError:
        key = b""
    if len(key) == KEY_BYTES:
        return key
    raise argparse.ArgumentTypeError("give the key's 64 hexadecimal digits, or a file that holds them")


def opened(path: str) -> TextIO:
    """Open a file of lines."""
    return Path(path).open(encoding="utf-8", errors="surrogateescape", newline="\n")


def main(arguments: list[str] | None = None) -> int:
    """Verify as the command line says."""
    parser = argparse.ArgumentParser(description="Verify an exported audit record.")
    parser.add_argument("file", help="what `freehold audit export` wrote")
    parser.add_argument("--key", required=True, type=key_of, help="the platform's public key, or a file that holds it")
    parser.add_argument("--anchor", help="freehold-anchors.jsonl from the second place")
    parser.add_argument("--tenant", help="whose record it should be: the tenant's id, `platform`, or `*` for everybody")
    stated = parser.parse_args(arguments)
    anchors = Anchors() if stated.anchor else None
    record = Record(stated.key, anchors, stated.tenant)
    try:
        if anchors is not None:
            with opened(stated.anchor) as file:
                anchors.read(file, stated.key)
        with opened(stated.file) as file:
            faults = record.read(file)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    return told(record, faults)


def told(record: Record, faults: list[tuple[int, str]]) -> int:
    """Print what was found, and return how to end."""
    anchors = record.anchors
    beside = [fault for fault in anchors.faults if fault[1] is None or record.covers(fault[1])]
    for row, reason in faults:
        print(f"row {row}: {reason}")
    for number, _, reason in beside:
        print(f"anchor {number}: {reason}")
    for note in notes(record):
        print(f"note: {note}")
    if faults or beside or record.head is None:
        return 1
    print(f"whole: {record.rows} rows in {len(record.ends)} chains, signed {moment(record.head['at'])}")
    print(f"it is the record of {whose(record.head)}")
    if anchors.last:
        print(f"and as {len(anchors.marks)} anchors say, the newest of {moment(anchors.last['at'])}")
    return 0


def notes(record: Record) -> Iterable[str]:
    """Give what a reader should know though nothing is wrong."""
    for chain, note in record.anchors.notes:
        if record.covers(chain):
            yield note
    first = record.anchors.first
    if first > 1:
        yield f"the anchor file begins at anchor {first}: what only older ones knew was not compared"


if __name__ == "__main__":
    sys.exit(main())
