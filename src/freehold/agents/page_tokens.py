"""
HTML cut into tags and text, in one pass over it.

Whatever a page is made of, each of its signs is looked at once: what has no end in the page ends the page. The standard
library's parser looks at some of them again and again, so that a page could keep it busy for hours.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

MAX_ATTRIBUTES: Final = 100
_NAME: Final = re.compile(r"[A-Za-z][^\s/>]*")
_BETWEEN: Final = re.compile(r"[\s/]*")
_ATTRIBUTE: Final = re.compile(r"=?[^\s/>=]*")
_EQUALS: Final = re.compile(r"\s*=\s*")
_BARE: Final = re.compile(r"[^\s>]*")
_LOOSE: Final = re.compile(r"(?:<(?![A-Za-z!?/])[^<]*)+")
"""What begins like a tag and is none."""
_RAW: Final = frozenset({"script", "style", "xmp", "iframe", "noembed", "noframes", "textarea", "title"})
"""Elements in which everything up to their own end is text."""
_WITH_ENTITIES: Final = frozenset({"textarea", "title"})


@dataclass(frozen=True, slots=True)
class Start:
    """The beginning of an element."""

    name: str
    """In lower case."""
    said: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Its attributes."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of an element."""

    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """What stands between."""

    text: str


Token = Start | End | Text


def tokens(page: str) -> Iterator[Token]:
    """Give what `page` consists of, without its comments."""
    at = 0
    while 0 <= at < len(page):
        if page[at] != "<":
            end = page.find("<", at)
            end = len(page) if end < 0 else end
            yield Text(_unescaped(page[at:end]))
            at = end
            continue
        name = _NAME.match(page, at + 1)
        if name is not None:
            said, at = _attributes(page, name.end())
            if at < 0:
                return
            start = Start(name[0].lower(), said)
            yield start
            if start.name in _RAW:
                text, at = _raw(page, at, start.name)
                yield Text(text)
            continue
        closing = _NAME.match(page, at + 2) if page.startswith("/", at + 1) else None
        if closing is not None:
            yield End(closing[0].lower())
            at = _behind(page, ">", closing.end())
        elif page.startswith(("!", "?", "/"), at + 1):
            at = _behind(page, "-->", at + 4) if page.startswith("<!--", at) else _behind(page, ">", at + 1)
        else:
            end = _at(_LOOSE, page, at)
            yield Text(_unescaped(page[at:end]))
            at = end


def _attributes(page: str, at: int) -> tuple[dict[str, str], int]:
    """Return the attributes of a tag and where it ends; less than nothing where it does not."""
    said: dict[str, str] = {}
    while True:
        at = _at(_BETWEEN, page, at)
        if at >= len(page):
            return said, -1
        if page[at] == ">":
            return said, at + 1
        end = _at(_ATTRIBUTE, page, at)
        name, value = page[at:end].lower(), ""
        equals = _EQUALS.match(page, end)
        at = end
        if equals is not None:
            value, at = _value(page, equals.end())
            if at < 0:
                return said, -1
        if len(said) < MAX_ATTRIBUTES:
            said.setdefault(name, value)


def _value(page: str, at: int) -> tuple[str, int]:
    quote = page[at : at + 1]
    if quote in {'"', "'"}:
        end = page.find(quote, at + 1)
        return _unescaped(page[at + 1 : end]), (end + 1 if end >= 0 else -1)
    end = _at(_BARE, page, at)
    return _unescaped(page[at:end]), end


def _raw(page: str, at: int, name: str) -> tuple[str, int]:
    found = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(page, at)
    end = found.start() if found else len(page)
    text = page[at:end]
    return _unescaped(text) if name in _WITH_ENTITIES else text, end


def _behind(page: str, sign: str, at: int) -> int:
    """Return where what follows the next `sign` begins; less than nothing where there is none."""
    found = page.find(sign, at)
    return found + len(sign) if found >= 0 else -1


def _at(pattern: re.Pattern[str], page: str, at: int) -> int:
    found = pattern.match(page, at)
    return found.end() if found else at


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a number of some thousand digits
        return text
