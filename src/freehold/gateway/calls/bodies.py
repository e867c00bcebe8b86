"""
A request's body, read and changed at its top level only: every byte that is not changed stays as it came.

Bodies are JSON, or forms (`multipart/form-data`) where sound is sent along. None is decoded and written anew. Numbers of any size, members nobody here knows, members that stand twice
and the caller's way of spelling survive. Where a member stands more than once, the last one is read, as JSON readers
do; a change is made to each of them, also to those that differ in case alone, so that a provider which reads the
first, or does not look at case, reads what we wrote.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from freehold.core.errors import Invalid

_BLANK: Final = b" \t\r\n"
_BLANKS: Final = frozenset((b" ", b"\t", b"\r", b"\n"))
_SMALL: Final = 1 << 16
"""Bytes up to which looking for names is faster than going through all members."""
_MEMBER: Final = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_VALUE_FOLLOWS: Final = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_REST: Final = re.compile(r"trailing characters \(byte (\d+)\)")
_ESCAPED_LETTERS: Final = (b"\\u004", b"\\u005", b"\\u006", b"\\u007")
"""How every escape of a letter or an underscore begins; a name may be spelt with them."""
_top: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value: Final = msgspec.json.Decoder(msgspec.Raw)


_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"\r\n]{1,200})"|([^\s";,]{1,200}))', re.IGNORECASE)
_DISPOSITION: Final = re.compile(
    r'content-disposition: *form-data; *name="([^"\\\r\n]{1,200})"'
    r'(?:; *filename="([^"\r\n]*)")?(?:; *filename\*=[^;\r\n]*)?;? *',
    re.IGNORECASE,
)


class Gone:
    """Says of a member that it goes."""


GONE: Final = Gone()


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a member of the top level stands."""

    name: str
    start: int
    """Where its name begins."""
    value: int
    end: int


def top(body: bytes) -> Mapping[str, msgspec.Raw]:
    """Return the members of the object that `body` is, undecoded; raise `Invalid` (`bad_body`) if it is none."""
    try:
        return _top.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad() from error


def value(raw: msgspec.Raw | None) -> Any:
    """Return what a member says; `None` where it is missing."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad() from error


def edited(body: bytes, changes: Mapping[str, object]) -> bytes:
    """
    Return `body` with `changes` made to members of its top level.

    A member that is missing is added at the end, one that is to be `GONE` goes with its comma.
    """
    spelt = {name: None if new is GONE else msgspec.json.encode(new) for name, new in changes.items()}
    lowered = {name.lower(): name for name in changes}
    present, found = _spotted(body, spelt) or _walked(body)
    cuts: list[tuple[int, int, bytes]] = []
    going = [name is not None and spelt[name] is None for name in (lowered.get(one.name.lower()) for one in found)]
    for at, member in enumerate(found):
        name = lowered.get(member.name.lower())
        new = None if name is None else spelt[name]
        if new is not None:
            cuts.append((member.value, member.end, new))
        elif name is not None:
            cuts.append((*_room(found, going, at), b""))
    added = b",".join(
        msgspec.json.encode(name) + b":" + new for name, new in spelt.items() if new is not None and name not in present
    )
    if added:
        end = body.rindex(b"}")
        cuts.append((end, end, b"," + added if len(present) > sum(going) else added))
    return _pieced(body, cuts)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form, and where in the body its value stands."""

    name: str
    filename: str | None
    start: int
    end: int


def form(body: bytes, content_type: str) -> tuple[Part, ...]:
    """Return the parts of a form in order; raise `Invalid` (`bad_body`) if it is none, or one to be read in two ways."""
    line = b"--" + _boundary(content_type)
    at = 0 if body.startswith(line) else _after(body, b"\r\n" + line, 0) - len(line)
    parts = []
    while body[at + len(line) : at + len(line) + 2] == b"\r\n":
        headers = at + len(line) + 2
        start = _after(body, b"\r\n\r\n", headers)
        at = _after(body, b"\r\n" + line, start) - len(line)
        parts.append(_part(body[headers : start - 2], start, at - 2))
    if not parts or body[at + len(line) : at + len(line) + 2] != b"--":
        raise _bad_form()
    return tuple(parts)


def form_edited(body: bytes, content_type: str, changes: Mapping[str, str]) -> bytes:
    """Return a form with the fields in `changes` set, wherever they stand; one that is missing is put first."""
    parts = form(body, content_type)
    cuts = [(part.start, part.end, changes[part.name].encode()) for part in parts if part.name in changes]
    line = b"--" + _boundary(content_type)
    present = {part.name for part in parts}
    added = b"".join(
        line + b'\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + new.encode() + b"\r\n"
        for name, new in changes.items()
        if name not in present
    )
    first = body.index(line)
    return _pieced(body, [(first, first, added), *cuts])


def fields(body: bytes, parts: Sequence[Part]) -> dict[str, str]:
    """Return what the fields of a form say, without its files; the last of a name counts."""
    return {
        part.name: body[part.start : part.end].decode("utf-8", "replace") for part in parts if part.filename is None
    }


def _boundary(content_type: str) -> bytes:
    found = _BOUNDARY.search(content_type)
    if found is None or not content_type.lower().startswith("multipart/form-data"):
        raise _bad_form()
    return (found[1] or found[2]).encode("latin-1", "replace")


def _after(body: bytes, mark: bytes, at: int) -> int:
    found = body.find(mark, at)
    if found < 0:
        raise _bad_form()
    return found + len(mark)


def _part(headers: bytes, start: int, end: int) -> Part:
    """Read a part's headers; they end with a line break. What could be read differently elsewhere is refused."""
    lines = headers.decode("utf-8", "replace").split("\r\n")
    found = [line for line in lines if line.lower().startswith("content-disposition:")]
    told = _DISPOSITION.fullmatch(found[0]) if len(found) == 1 else None
    if told is None or end < start or any(line[:1] in {" ", "\t"} for line in lines):
        raise _bad_form()
    return Part(told[1], told[2], start, end)


def _bad_form() -> Invalid:
    return Invalid(
        "The request's body is no form.",
        code="bad_body",
        remedy="Send multipart/form-data, each part with one Content-Disposition that names it in quotes.",
    )


def _spotted(body: bytes, changes: Mapping[str, bytes | None]) -> tuple[Collection[str], Sequence[_Member]] | None:
    """
    Return which names there are, and the members to change, where each is found by its spelling alone.

    `None` where that is not certain: the one place in the whole body where a name is spelt must be the member's.
    """
    if len(body) > _SMALL or None in changes.values() or any(escape in body for escape in _ESCAPED_LETTERS):
        return None
    members = top(body)
    lowered = [name.lower() for name in members]
    found = []
    for name in changes:
        alike = lowered.count(name.lower())
        if not alike:
            continue
        spelt = b'"' + name.encode() + b'"'
        start = body.find(spelt)
        if alike > 1 or name not in members or start < 0 or body.find(spelt, start + 1) >= 0:
            return None
        follows = _VALUE_FOLLOWS.match(body, start + len(spelt))
        if follows is None:
            return None
        found.append(_Member(name, start, follows.end(), follows.end() + len(memoryview(members[name]))))
    return members, found


def _walked(body: bytes) -> tuple[Collection[str], Sequence[_Member]]:
    """Return which members of the top level there are, how often, and where each of them stands."""
    found: list[_Member] = []
    view, at = memoryview(body), _past_blank(body, 0)
    delimiter = body[at : at + 1]
    opened = b"{"
    while delimiter == opened and (named := _MEMBER.match(body, at + 1)):
        end = _end(view, named.end())
        found.append(_Member(value(msgspec.Raw(named[1])), named.start(1), named.end(), end))
        at = _past_blank(body, end)
        delimiter, opened = body[at : at + 1], b","
    if not found:
        at = _past_blank(body, at + 1) if delimiter == b"{" else len(body)
    if body[at : at + 1] != b"}" or _past_blank(body, at + 1) != len(body):
        raise _bad()
    return [member.name for member in found], found


def _end(view: memoryview, at: int) -> int:
    """Return where the value that begins at `at` ends: the reader says at which byte it found something else."""
    try:
        _value.decode(view[at:])
    except RecursionError as error:
        raise _bad() from error
    except msgspec.DecodeError as error:
        stopped = _REST.search(str(error))
        if stopped is None:
            raise _bad() from error
        end = at + int(stopped[1]) - 1
        while view[end - 1] in _BLANK:
            end -= 1
        return end
    raise _bad()


def _room(found: Sequence[_Member], going: Sequence[bool], at: int) -> tuple[int, int]:
    """Return from where to where a member goes: with the comma behind it or, of the last ones, the one before."""
    if not all(going[at:]):
        return found[at].start, found[at + 1].start
    if at == 0:
        return found[0].start, found[-1].end
    # Of several that go at the end, the first takes them all.
    return (found[-1].end if going[at - 1] else found[at - 1].end), found[-1].end


def _pieced(body: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    pieces: list[bytes | memoryview] = []
    view, at = memoryview(body), 0
    for start, end, new in sorted(cuts, key=lambda cut: cut[:2]):
        pieces += (view[at:start], new)
        at = end
    return b"".join((*pieces, view[at:]))


def _past_blank(body: bytes, at: int) -> int:
    while body[at : at + 1] in _BLANKS:
        at += 1
    return at


def _bad() -> Invalid:
    return Invalid(
        "The request's body is no JSON object.", code="bad_body", remedy="Send an object in JSON, encoded as UTF-8."
    )
