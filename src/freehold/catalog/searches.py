"""The services of web search that ship, read from `search.toml` beside this file: a connection names one as its provider."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

METHODS = frozenset({"GET", "POST"})
AGES = ("day", "week", "month", "year")
"""How new results can be asked to be, and the order in which presets spell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How a service is asked, and where in its answer what lies."""

    name: str
    url: str
    """Empty where only a connection can say it."""
    path: str = ""
    method: str
    key: str
    """Where the secret goes; empty where it needs none."""
    query: str
    count: str
    most: int
    since: str
    ages: tuple[str, ...]
    """What the service calls each of `AGES`; empty where it wants a date."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    results: str
    title: tuple[str, ...]
    link: tuple[str, ...]
    snippet: tuple[str, ...]
    date: tuple[str, ...]


@cache
def searches() -> Mapping[str, Search]:
    """Return the services that ship, by name."""
    tables = tomllib.loads(files("freehold.catalog").joinpath("search.toml").read_text("utf-8"))
    return MappingProxyType({name: _search(name, told) for name, told in tables.items()})


def _search(name: str, told: dict[str, Any]) -> Search:
    lists = {key: tuple(value) for key, value in told.items() if isinstance(value, list)}
    search = Search(name=name, **{**told, **lists})
    if search.method not in METHODS or len(search.ages) not in {0, len(AGES)}:
        raise LookupError(f"The search {name} is described by words nobody knows.")
    return search
