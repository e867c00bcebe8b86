"""
Texts from elsewhere, shown so that what people see is what is there.

A character that has no shape, or that turns the text around it, becomes a marked code: what is approved is bytes, and
two different ones must never look the same because of something that cannot be seen.
"""

import json
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

_PLAIN: Final = frozenset("\n\t ")
_SHAPELESS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_BLANK: Final = frozenset("\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\u034f")
"""Letters and marks by their category, and yet nothing to see."""
_SELECTORS: Final = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
"""Variation selectors: marks that show nothing by themselves."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, or one character that would not be seen."""

    text: str
    odd: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """One named value, whole."""

    name: tuple[Piece, ...]
    pieces: tuple[Piece, ...]
    verbatim: bool
    """Whether it is a text as it stands, rather than JSON."""
    characters: int
    lines: int

    @property
    def plain(self) -> str:
        """Return the name as text alone, for those who hear the page."""
        return "".join(piece.text for piece in self.name)

    @property
    def long(self) -> bool:
        """Return whether it needs room of its own."""
        return self.lines > 1 or self.characters > 60  # noqa: PLR2004 - about what fits on a phone's line or two

    @property
    def scrolls(self) -> bool:
        """Return whether its room is too small to show it all at once, even on a wide screen."""
        return self.lines > 14 or self.characters > 1000  # noqa: PLR2004 - what the room in the style sheet holds

    @property
    def odd(self) -> bool:
        """Return whether something in it cannot be seen by itself."""
        return any(piece.odd for piece in (*self.name, *self.pieces))


def pieces(text: str) -> tuple[Piece, ...]:
    """Return `text` cut so that what has no shape stands alone, by its code."""
    found: list[Piece] = []
    for character in text:
        if _odd(character):
            found.append(Piece(f"U+{ord(character):04X}", odd=True))
        elif found and not found[-1].odd:
            found[-1] = Piece(found[-1].text + character)
        else:
            found.append(Piece(character))
    return tuple(found)


def shown(arguments: dict[str, Any]) -> list[Shown]:
    """Return each of `arguments` whole: a text as it stands, anything else as JSON."""
    return [_one(name, value) for name, value in arguments.items()]


def _one(name: str, value: object) -> Shown:
    verbatim = isinstance(value, str) and value.strip() != "" and not _like_json(value)
    text = value if verbatim and isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return Shown(
        name=pieces(name),
        pieces=pieces(text),
        verbatim=verbatim,
        characters=len(text),
        lines=text.count("\n") + 1,
    )


def _like_json(text: str) -> bool:
    """Return whether `text`, shown as it stands, could be taken for a number, a list or nothing at all."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text != text.strip(" \t")
    return True


def _odd(character: str) -> bool:
    if character in _PLAIN:
        return False
    if unicodedata.category(character) in _SHAPELESS or character in _BLANK:
        return True
    return any(first <= ord(character) <= last for first, last in _SELECTORS)
