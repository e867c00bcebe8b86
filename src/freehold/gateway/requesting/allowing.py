"""
What a connection allows: METHOD:PATH, where `*` stands for one segment and `**` at the end for all that follow.

Paths are those below the connection's address; `POST:` is the address itself. What is not stated is not allowed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, final

from freehold.core.errors import Denied, Invalid
from freehold.gateway.requesting import paths

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
ANY: Final = "*"
REST: Final = "**"
MOST: Final = 200


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern."""

    methods: frozenset[str]
    segments: tuple[str, ...]

    def fits(self, method: str, segments: list[str]) -> bool:
        """Return whether a request with this method and these segments of a plain path is meant."""
        fixed = self.segments[:-1] if self.segments[-1:] == (REST,) else self.segments
        counted = len(segments) > len(fixed) if fixed != self.segments else len(segments) == len(fixed)
        return method in self.methods and counted and all(map(_fits, fixed, segments))


def rules(config: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Return what `config` allows; raise `Invalid` (`bad_config`) for what is no pattern."""
    stated = config.get("allow") or ()
    if not isinstance(stated, (list, tuple)) or not all(isinstance(one, str) for one in stated) or len(stated) > MOST:
        raise bad_pattern(stated)
    return _rules(tuple(stated))


def methods(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the methods that `config` allows for any path, in the order in which they are usually told."""
    found = frozenset[str]().union(*(rule.methods for rule in rules(config)))
    return tuple(method for method in METHODS if method in found)


def required(config: Mapping[str, Any], method: str, path: str) -> None:
    """Raise `Denied` (`path_refused`) unless `config` allows `method` for the plain `path` below its address."""
    segments = paths.segments(path)
    if not any(rule.fits(method, segments) for rule in rules(config)):
        raise Denied(
            f"This connection does not allow {method[:20]} {path[:200]}.",
            code="path_refused",
            remedy="Whoever keeps the connection can allow it, beside all else that it allows: "
            f"freehold connection set NAME --allow {method[:20]}:{path[:200]} --allow …",
        )


def bad_pattern(stated: object) -> Invalid:
    """Return the error that tells that something is no pattern."""
    return Invalid(
        f"{str(stated)[:200]!r} says not what is allowed.",
        code="bad_config",
        remedy="Write METHOD:PATH such as GET:/items/* or *:/files/**, up to 200 of them; a method is one of "
        + ", ".join(METHODS)
        + " or *.",
    )


@lru_cache(maxsize=1_024)
def _rules(stated: tuple[str, ...]) -> tuple[Rule, ...]:
    return tuple(_rule(one) for one in stated)


def _rule(stated: str) -> Rule:
    method, sign, path = stated.partition(":")
    method = method.upper()
    if not sign or (method != ANY and method not in METHODS):
        raise bad_pattern(stated)
    try:
        segments = tuple(paths.segments(paths.plain(path)))
    except Invalid as error:
        raise bad_pattern(stated) from error
    if any("*" in one and one not in {ANY, REST} for one in segments) or REST in segments[:-1]:
        raise bad_pattern(stated)
    return Rule(frozenset(METHODS) if method == ANY else frozenset({method}), segments)


def _fits(wanted: str, segment: str) -> bool:
    return bool(segment) if wanted == ANY else wanted == segment
