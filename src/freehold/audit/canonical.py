"""One spelling for every JSON value (RFC 8785), so that equal things have equal hashes."""

import hashlib
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Final

import msgspec
import rfc8785

from freehold.core.errors import Invalid

_EXACT: Final = 1 << 53
_FLAT: Final = msgspec.json.Encoder(order="sorted")


def canonical(value: object) -> bytes:
    """Return `value` in RFC 8785 bytes; raise `Invalid` where JSON has no canonical form for it."""
    if _flat(value):
        return _FLAT.encode(value)
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise Invalid(
            "This value has no canonical JSON form.",
            code="not_canonical",
            remedy="Use text as keys, whole numbers below 2^53, finite fractions and valid Unicode.",
        ) from error


def _flat(value: object) -> bool:
    """
    Tell whether any encoder that sorts its keys spells `value` canonically, which takes a tenth of the time.

    So it is with the details of nearly every act, and with its link: plain names, and under each a text, a whole
    number or details.
    """
    return type(value) is dict and all(
        type(name) is str
        and name.isascii()
        and (
            _plain_text(item)
            or (type(item) is int and -_EXACT < item < _EXACT)
            or item is None
            or type(item) is bool
            or (type(item) is dict and _flat(item))
        )
        for name, item in value.items()
    )


def _plain_text(item: object) -> bool:
    return type(item) is str and item.isascii()


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical bytes of `value`, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def fingerprint(noun: object, *without: str) -> str:
    """
    Return the hash of a noun as it stands, for `before` and `after`; empty for none.

    Leave out (`without`) what is personal: who knows the form can guess a name or an address from its hash.
    """
    if noun is None:
        return ""
    plain = _plain(noun)
    if isinstance(plain, dict):
        plain = {name: value for name, value in plain.items() if name not in without}
    return digest(plain)


def _plain(value: object) -> object:  # noqa: PLR0911 - one per kind
    match value:
        case Enum():
            return str(value.value)
        case datetime():
            return round(value.timestamp() * 1000)
        case _ if is_dataclass(value):
            return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
        case set() | frozenset():
            return sorted(str(_plain(item)) for item in value)
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value
