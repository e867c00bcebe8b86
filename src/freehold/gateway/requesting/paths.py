"""
Paths in the one spelling in which they are judged and sent.

Servers, and what stands before them, differ in what they decode, when, and what they then take for a border between
two segments. A path about which they could differ is refused, never mended.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from freehold.core.errors import Invalid

LONGEST: Final = 8_192
DEEPEST: Final = 3
"""How often a path may have been encoded over; one that is still encoded after that hides something."""
_SPELT: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})*")
_TWICE: Final = re.compile(r"[/\\;?#\x00-\x1f\x7f-\x9f]")
"""What ends a segment for some readers, and for others does not."""
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_KEPT: Final = "!$&'()*+,=:@"


@lru_cache(maxsize=4_096)
def plain(path: str | bytes) -> str:
    """
    Return `path` in its one spelling; the empty one means the address itself, without anything behind it.

    Raises `Invalid` (`bad_path`) for what two readers might read differently.
    """
    text = path.decode("latin-1") if isinstance(path, bytes) else path
    if not text:
        return text
    if len(text) > LONGEST or not _SPELT.fullmatch(text):
        raise bad_path(text)
    first, *segments = text.split("/")
    if "" in segments[:-1]:
        raise bad_path(text)
    return "/".join([first, *(_segment(one, text) for one in segments)])


def segments(path: str) -> list[str]:
    """Return the segments of a plain path; a path that ends with a slash has an empty last one."""
    return path.split("/")[1:]


def bad_path(path: str) -> Invalid:
    """Return the error that tells that something is no path."""
    return Invalid(
        f"{path[:200]!r} is no path that every server reads alike.",
        code="bad_path",
        remedy="Begin with /; leave out . and .. segments, //, ;, ? and # and encoded slashes; "
        "state a query as `query`; write other signs as %HH of their UTF-8 bytes.",
    )


def _segment(spelt: str, path: str) -> str:
    if "%" not in spelt:
        _looked_at(spelt, path)
        return spelt
    text = decoded = _decoded(spelt, path)
    for _ in range(DEEPEST):
        _looked_at(text, path)
        if not _ENCODED.search(text):
            return quote(decoded, safe=_KEPT)
        text = _decoded(text, path)
    raise bad_path(path)


def _decoded(spelt: str, path: str) -> str:
    try:
        return unquote_to_bytes(spelt).decode()
    except UnicodeDecodeError as error:
        raise bad_path(path) from error


def _looked_at(text: str, path: str) -> None:
    """Raise `Invalid` if some reader could take this segment for more than one, or for a step up or nowhere."""
    told = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if _TWICE.search(told) or (text and not told.strip(" .")):
        raise bad_path(path)
