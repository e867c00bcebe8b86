"""What the pages say, by language: a text has a name (`code.wrong`) and is filled with values; a language is a file."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LANGUAGES: Final = ("en", "de")
"""The first is what is spoken where none of the others is asked for."""
_WEIGHT: Final = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*")
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language, with times as people read them where they are."""

    language: str
    zone: str = "UTC"

    def __call__(self, name: str, /, **values: object) -> str:
        """Return the text `name`, filled with `values`; raise `KeyError` for one that nobody wrote."""
        return texts(self.language)[name].format(**values)

    def has(self, name: str) -> bool:
        """Return whether somebody wrote the text `name`."""
        return name in texts(self.language)

    def moment(self, at: datetime) -> str:
        """Return `at` as people say it."""
        local = at.astimezone(_zone(self.zone))
        months = self("page.months").split()
        return self(
            "page.moment",
            day=local.day,
            month=months[local.month - 1],
            year=local.year,
            time=f"{local:%H:%M}",
            zone=local.tzname(),
        )


def language_of(*wishes: str) -> str:
    """Return the first of `wishes` (tags, or an Accept-Language header) that we speak."""
    for wish in wishes:
        for tag in _ordered(wish[:_LONGEST]):
            if tag.partition("-")[0].lower() in LANGUAGES:
                return tag.partition("-")[0].lower()
    return LANGUAGES[0]


@cache
def texts(language: str) -> Mapping[str, str]:
    """Return all texts of `language` by their names."""
    read = tomllib.loads(files(__package__).joinpath("texts", f"{language}.toml").read_text(encoding="utf-8"))
    return {f"{section}.{name}": text for section, named in read.items() for name, text in named.items()}


def _ordered(wish: str) -> Iterator[str]:
    weighed = []
    for place, part in enumerate(wish.split(",")):
        found = _WEIGHT.fullmatch(part)
        if found and float(found[2] or 1) > 0:
            weighed.append((-float(found[2] or 1), place, found[1]))
    return (tag for _, _, tag in sorted(weighed))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):  # a name that the machine's tables do not know
        return ZoneInfo("UTC")
