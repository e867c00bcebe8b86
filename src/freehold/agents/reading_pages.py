"""
A page as somebody reads it: headings, paragraphs, lists, tables, links; nothing that is code, navigation or hidden.

Pages are written by strangers and read by a model, so what no reader would see is left out, and nothing here grows
with how deeply a page is nested.
"""

import re
from collections.abc import Mapping
from typing import Final, final
from urllib.parse import urljoin

from freehold.agents.page_tokens import End, Start, Text, tokens

MAX_HTML: Final = 1 << 20
LONGEST_LINK: Final = 500
_LONGEST_STYLE: Final = 2_000
_SKIPPED: Final = frozenset(
    {
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "math",
        "iframe",
        "object",
        "canvas",
        "nav",
        "select",
        "datalist",
    }
)
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_ENDS_ITSELF: Final = frozenset({"p", "li", "td", "th", "tr", "dt", "dd", "option"})
"""Elements that the next of the same name ends."""
_BLOCKS: Final = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "dd", "details", "dialog", "div", "dl", "dt", "fieldset",
        "figcaption", "figure", "footer", "form", "header", "hr", "html", "main", "ol", "p", "pre", "section", "summary",
        "table", "tbody", "tfoot", "thead", "ul",
    }
)  # fmt: skip
_HEADINGS: Final = {f"h{level}": "#" * level for level in range(1, 7)}
_HIDING: Final = re.compile(
    r"(display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9]))", re.IGNORECASE
)
_SPACE: Final = re.compile(r"[ \t\n\r\f\v\u00a0]+")
_INVISIBLE: Final = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""Signs that show nothing, or turn round what is shown; a model reads them and a person does not."""
_LINES: Final = re.compile(r"\n{3,}")


def readable(html: str, *, base: str = "") -> str:
    """Return what `html`, found at `base`, says to a reader; links are `[text](address)`."""
    reader = _Reader(base)
    for token in tokens(html[:MAX_HTML]):
        match token:
            case Start():
                reader.start(token.name, token.said)
            case End():
                reader.end(token.name)
            case Text():
                reader.say(token.text)
    return reader.text()


def visible(text: str) -> str:
    """Return `text` without signs that no reader sees."""
    return _INVISIBLE.sub("", text)


@final
class _Reader:
    """Writes down what a page says, as its parts come."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._out: list[str] = []
        self._title: list[str] = []
        self._in_title = False
        self._hidden, self._depth = "", 0
        self._lists: list[int | None] = []
        self._link, self._linked = "", 0
        self._pre = 0
        self._cells = 0

    def text(self) -> str:
        """Return all that was said."""
        body = _LINES.sub("\n\n", "\n".join(line.rstrip() for line in "".join(self._out).split("\n"))).strip()
        title = " ".join("".join(self._title).split())
        whole = f"# {title}\n\n{body}" if title and f"# {title}" not in body[: len(title) + 10] else body
        return visible(whole)

    def start(self, tag: str, said: Mapping[str, str]) -> None:
        """Take the beginning of an element."""
        if self._hidden:
            self._deeper(tag)
            if self._hidden or tag in _SKIPPED:
                return
        if tag in _SKIPPED or _is_hidden(tag, said):
            if tag not in _VOID:
                self._hidden, self._depth = tag, 1
            return
        self._opened(tag, said)

    def end(self, tag: str) -> None:
        """Take the end of an element."""
        if not self._hidden:
            self._closed(tag)
        elif tag == self._hidden:
            self._depth -= 1
            self._hidden = self._hidden if self._depth else ""

    def say(self, text: str) -> None:
        """Take what stands between."""
        if self._hidden:
            return
        if self._in_title:
            self._title.append(text)
        elif self._pre:
            self._out.append(text)
        else:
            plain = _SPACE.sub(" ", text)
            if plain == " " and (not self._out or self._out[-1].endswith((" ", "\n"))):
                return
            self._out.append(plain.lstrip(" ") if self._at_start() else plain)

    def _deeper(self, tag: str) -> None:
        if tag != self._hidden or tag in _VOID:
            return
        if tag in _ENDS_ITSELF:  # the next of its kind is not in it, but behind it
            self._hidden, self._depth = "", 0
            return
        self._depth += 1

    def _opened(self, tag: str, said: Mapping[str, str]) -> None:
        if tag in _HEADINGS:
            self._out.append(f"\n\n{_HEADINGS[tag]} ")
        elif tag in {"ul", "ol", "li"}:
            self._listed(tag)
        elif tag in {"tr", "td", "th"}:
            self._tabled(tag)
        elif tag == "a":
            self._begin_link(said.get("href", ""))
        elif tag in {"br", "img"}:
            self._out.append("\n" if tag == "br" else f"[image: {said['alt']}]" if said.get("alt") else "")
        elif tag == "title":
            self._in_title = not self._title
        elif tag in _BLOCKS:
            self._block(tag)

    def _listed(self, tag: str) -> None:
        if tag == "li":
            self._out.append(self._point())
            return
        self._lists.append(1 if tag == "ol" else None)
        self._out.append("" if len(self._lists) > 1 else "\n\n")

    def _tabled(self, tag: str) -> None:
        if tag == "tr":
            self._cells = 0
            self._out.append("\n")
            return
        self._out.append(" | " if self._cells else "")
        self._cells += 1

    def _block(self, tag: str) -> None:
        self._pre += tag == "pre"
        inside = bool(self._cells) or (tag == "p" and bool(self._lists))
        spaced = bool(self._out) and self._out[-1].endswith((" ", "\n"))
        self._out.append(("" if spaced else " ") if inside else "\n\n```\n" if tag == "pre" else "\n\n")

    def _closed(self, tag: str) -> None:
        if tag in _HEADINGS or tag == "table":
            self._cells = 0
            self._out.append("\n\n")
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
            self._out.append("\n" if self._lists else "\n\n")
        elif tag == "a":
            self._end_link()
        elif tag == "title":
            self._in_title = False
        elif tag == "tr":
            self._cells = 0
        elif tag == "pre" and self._pre:
            self._pre -= 1
            self._out.append("\n```\n\n")
        elif tag in _BLOCKS and not self._cells:
            self._out.append("\n\n")

    def _point(self) -> str:
        depth = min(len(self._lists), 8)
        number = self._lists[-1] if self._lists else None
        if number is not None:
            self._lists[-1] = number + 1
        return "\n" + "  " * max(0, depth - 1) + (f"{number}. " if number is not None else "- ")

    def _begin_link(self, href: str) -> None:
        self._end_link()
        link = _address(self._base, href)
        if link:
            self._link = link
            self._linked = len(self._out)
            self._out.append("[")

    def _end_link(self) -> None:
        if not self._link:
            return
        text = " ".join("".join(self._out[self._linked + 1 :]).split())
        del self._out[self._linked :]
        self._out.append(f"[{text}]({self._link})" if text else "")
        self._link = ""

    def _at_start(self) -> bool:
        return not self._out or self._out[-1].endswith("\n")


def _is_hidden(tag: str, said: Mapping[str, str]) -> bool:
    if "hidden" in said or said.get("aria-hidden", "").lower() == "true":
        return True
    return tag == "input" or bool(_HIDING.search(said.get("style", "")[:_LONGEST_STYLE]))


def _address(base: str, href: str) -> str:
    """Return where a link leads, if that is a page that could be read."""
    try:
        whole = urljoin(base, href.strip())
    except ValueError:
        return ""
    plain = "".join(sign for sign in whole if sign.isprintable() and sign not in " ()<>")
    if not plain.startswith(("http://", "https://")) or href.strip().startswith("#"):
        return ""
    return plain if len(plain) <= LONGEST_LINK else ""
