"""Whether a configuration makes a connection by which requests can be shaped; every mistake is told with what to write."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from freehold.core.errors import Invalid
from freehold.gateway.outward.hosts import place_in
from freehold.gateway.ports import Credential
from freehold.gateway.requesting import allowing, callers, injecting, paths
from freehold.gateway.requesting.injecting import Place

SHARED: Final = frozenset({"base_url", "inject", "headers", "oauth", "keep"})
"""What every kind whose requests are shaped here may be told."""
MOST_HEADERS: Final = 30
_VALUE: Final = re.compile(r"[\x20-\x7e]{0,2000}")


def check(config: Mapping[str, Any], credential: Credential, *, also: frozenset[str] = frozenset()) -> None:
    """Raise `Invalid` unless `config`, which may state what is `also` known, makes a connection that can work."""
    unknown = sorted(config.keys() - SHARED - also)
    if unknown:
        known = ", ".join(sorted(SHARED | also))
        raise _bad(f"Such a connection is not told {', '.join(unknown)[:200]}.", f"It may be told {known}.")
    place = injecting.place_of(config)
    if config.get("inject") and config.get("oauth"):
        raise _bad("An account that somebody signs in to is injected as OAuth says.", "Leave inject out.")
    if config.get("inject") and not credential:
        raise Invalid(
            "There is no secret to inject.",
            code="blank_secret",
            remedy="Set one (freehold secret set NAME) and name it: --secret NAME.",
        )
    _address(config.get("base_url"), place)
    _headers(config.get("headers"), place)
    _kept(config.get("keep"))
    allowing.rules(config)
    injecting.inject(config, credential, "https://x", {})  # a secret that cannot be written there is told now


def header_name(stated: object, what: str) -> str:
    """Return the header's name that `what` states; raise `Invalid` (`bad_config`) for none that may be set."""
    if not isinstance(stated, str) or not callers.is_name(stated) or callers.is_between(callers.same_header(stated)):
        raise _bad(f"{str(stated)[:80]!r} is no header that can be set.", f"Give {what} as a name such as X-Version.")
    return stated


def _address(stated: object, place: Place) -> None:
    example = "Give base_url as https://host/path, without user, password, query or a slash at its end."
    if stated is None:
        raise _bad("Where is the API?", example)
    if not isinstance(stated, str) or not stated.startswith(("http://", "https://")):
        raise _bad(f"{str(stated)[:80]!r} is no address of an API.", example)
    place_in(stated)
    hole = "{" + place.name + "}" if place.kind == "path" else ""
    if hole and stated.count(hole) != 1:
        raise _bad(f"The address has no single place {hole}.", f"Write {hole} once where the secret goes in base_url.")
    parts = urlsplit(stated)
    if "?" in stated or "#" in stated or (hole and hole not in parts.path):
        raise _bad("The address has a query, or its place for the secret is not in its path.", example)
    try:
        paths.plain((parts.path.replace(hole, "x") if hole else parts.path).rstrip("/"))
    except Invalid as error:
        raise _bad(f"{parts.path[:80]!r} is no path that every server reads alike.", example) from error


def _headers(stated: object, place: Place) -> None:
    example = 'Give headers as {"NAME": "VALUE"}, up to 30, and none that holds a secret.'
    if stated is None:
        return
    if not isinstance(stated, dict) or len(stated) > MOST_HEADERS:
        raise _bad("These are no headers.", example)
    for name, value in stated.items():
        header_name(name, "a header")
        if not isinstance(value, str) or not _VALUE.fullmatch(value) or value != value.strip():
            raise _bad(f"The header {name} has no value that can be sent.", example)
        if callers.same_header(name) in {place.header, "authorization", "cookie"}:
            raise _bad(f"The header {name} is where the secret goes.", "Put the value into a secret, and inject that.")
    if len({callers.same_header(name) for name in stated}) != len(stated):
        raise _bad("A header is stated twice.", example)


def _kept(stated: object) -> None:
    example = 'Give keep as ["query:NAME", "header:NAME"].'
    if stated is None:
        return
    if not isinstance(stated, list):
        raise _bad("This is no list of names.", example)
    for one in stated:
        place, sign, name = one.partition(":") if isinstance(one, str) else ("", "", "")
        if place not in {"query", "header"} or not sign or not callers.is_name(name):
            raise _bad(f"{str(one)[:80]!r} names nothing that can be kept.", example)
        if place == "header" and callers.same_header(name) in {"authorization", "cookie"}:
            raise _bad(f"The header {name} is never a caller's.", example)
        if place == "header":
            header_name(name, "keep")


def _bad(message: str, remedy: str) -> Invalid:
    return Invalid(message, code="bad_config", remedy=remedy)
