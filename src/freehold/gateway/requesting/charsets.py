"""Ways in which text is written, as servers name them; only those that can be read in a time one can wait for."""

import codecs
from typing import Final

_NO_CHARSETS: Final = frozenset(
    {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf-7", "mbcs"}
)
"""Names that Python knows for what nobody writes pages in, or takes for ever to read."""


def known(charset: str) -> str:
    """Return the charset that is meant; UTF-8 for what is none."""
    try:
        found = codecs.lookup(charset).name
        b"x".decode(charset, "replace")  # refuses what turns bytes into bytes, though not of no bytes at all
    except (LookupError, ValueError):
        return "utf-8"
    # What is called Latin-1 or ASCII is written as Windows has it.
    return {"iso8859-1": "cp1252", "ascii": "cp1252"}.get(found, "utf-8" if found in _NO_CHARSETS else found)
