"""JSON without importing `json`, which costs the guest half of its start."""

from __future__ import annotations

import _json

TYPE_CHECKING = False  # as the type checkers read it; importing typing would double the start
if TYPE_CHECKING:
    from typing import Any

    Value = dict[str, Any] | list[Any] | str | int | float | bool | None


class _Plain:
    """What the scanner wants to know."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


_scan = _json.make_scanner(_Plain)  # type: ignore[arg-type]


def loads(data: bytes) -> Any:
    """Return what compact JSON says; it must not begin with white space."""
    return _scan(data.decode(), 0)[0]


def dumps(value: Value) -> bytes:
    """Return `value` as compact JSON."""
    return _text(value).encode("ascii")


def _text(value: Value) -> str:
    match value:
        case str():
            text = _json.encode_basestring_ascii(value)
        case dict():
            text = "{" + ",".join(f"{_text(name)}:{_text(one)}" for name, one in value.items()) + "}"
        case list():
            text = "[" + ",".join(map(_text, value)) + "]"
        case None | bool():
            text = {None: "null", True: "true", False: "false"}[value]
        case _:
            text = repr(value)
    return text
