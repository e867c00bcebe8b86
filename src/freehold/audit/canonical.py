"""One spelling for every JSON value (RFC 8785), so that equal things have equal hashes."""

import hashlib

import rfc8785

from freehold.core.errors import Invalid


def canonical(value: object) -> bytes:
    """Return `value` in RFC 8785 bytes; raise `Invalid` where JSON has no canonical form for it."""
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise Invalid(
            "This value has no canonical JSON form.",
            code="not_canonical",
            remedy="Use text as keys, whole numbers below 2^53, finite fractions and valid Unicode.",
        ) from error


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical bytes of `value`, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()
