"""
Where a connection's credential goes: a header, a parameter of the query, a place in the path, or `user:password`.

It is written here, after everything that a caller said was looked at, and nowhere else.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, final
from urllib.parse import quote

from freehold.core.errors import Invalid
from freehold.gateway.oauth import injection
from freehold.gateway.ports import Credential
from freehold.gateway.requesting.callers import is_between, same_header, same_parameter

USUAL: Final = "header:Authorization"
LONGEST: Final = 8_192
"""Signs of a secret that is sent; tokens that carry claims have some thousand."""
HERE: Final = "{secret}"
PLACES: Final = "header:NAME, header:NAME=TEMPLATE with {secret}, query:NAME, path:NAME or basic"
_NAME: Final = re.compile(r"[A-Za-z0-9_.~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_PATH_VALUE: Final = re.compile(r"[\x21-\x7e]+")


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Where the credential goes."""

    kind: str
    """`header`, `query`, `path` or `basic`."""
    name: str = ""
    template: str = HERE

    @property
    def header(self) -> str:
        """The header it takes, as headers are compared; empty where it takes none."""
        return "authorization" if self.kind == "basic" else same_header(self.name) if self.kind == "header" else ""

    @property
    def parameter(self) -> str:
        """The parameter of the query it takes, as they are compared."""
        return same_parameter(self.name) if self.kind == "query" else ""


def place_of(config: Mapping[str, Any]) -> Place:
    """Return where the credential of `config` goes; raise `Invalid` (`bad_config`) where that makes no sense."""
    stated = injection(config) or config.get("inject") or USUAL
    if not isinstance(stated, str):
        raise bad_place(stated)
    return _place(stated)


def inject(
    config: Mapping[str, Any], credential: Credential, url: str, headers: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """
    Return `url` and `headers` with the credential in its place, whatever stood there before.

    Without a credential they stay as they are. Raises `Invalid` (`bad_secret`) for one that cannot be written there.
    """
    place, found = place_of(config), dict(headers)
    if not credential:
        return url, found
    value = _written(place, credential)
    if place.header:
        found = {name: said for name, said in found.items() if same_header(name) != place.header}
        return url, found | {"authorization" if place.kind == "basic" else place.name.lower(): value}
    if place.kind == "query":
        return f"{url}{'&' if '?' in url else '?'}{quote(place.name, safe='')}={value}", found
    return url.replace("{" + place.name + "}", value), found


def blotted(config: Mapping[str, Any], credential: Credential) -> tuple[Credential, ...]:
    """Return all that must not come back: the credential, and each part of it that opens something alone."""
    if not credential:
        return ()
    place, value = place_of(config), credential.reveal()
    user, _, password = value.partition(":")
    if place.kind == "basic":
        # Some APIs take the key for the user and nothing, or any word, for the password.
        parts = [password, user] if len(user) > len(password) else [password]
    else:
        parts = [quote(value, safe=":")] if place.kind == "path" else []
    return credential, *(Credential(part) for part in parts)


def bad_place(stated: object) -> Invalid:
    """Return the error that tells that something is no place for a credential."""
    return Invalid(
        f"{str(stated)[:80]!r} is no place for a secret.",
        code="bad_config",
        remedy=f"State inject as one of {PLACES}.",
    )


def bad_secret(why: str) -> Invalid:
    """Return the error that tells that a credential cannot be sent as it is."""
    return Invalid(
        f"The secret of this connection {why}.", code="bad_secret", remedy="Set it again: freehold secret set."
    )


@lru_cache(maxsize=1_024)
def _place(stated: str) -> Place:
    kind, _, rest = stated.partition(":")
    if stated == "basic":
        return Place("basic")
    name, sign, template = rest.partition("=")
    if kind not in {"header", "query", "path"} or not _NAME.fullmatch(name) or (sign and kind != "header"):
        raise bad_place(stated)
    if kind == "header" and is_between(same_header(name)):
        raise bad_place(stated)
    if sign and (template.count(HERE) != 1 or not _HEADER_VALUE.fullmatch(template)):
        raise bad_place(stated)
    usual = "Bearer " + HERE if kind == "header" and same_header(name) == "authorization" else HERE
    return Place(kind, name, template if sign else usual)


def _written(place: Place, credential: Credential) -> str:
    value = credential.reveal()
    if len(value) > LONGEST:  # every answer is looked through for it, in all its spellings
        raise bad_secret(f"is longer than {LONGEST} signs")
    if place.kind == "basic":
        if ":" not in value:
            raise bad_secret("is not USER:PASSWORD")
        return "Basic " + base64.b64encode(value.encode()).decode()
    if place.kind == "header":
        if not _HEADER_VALUE.fullmatch(value) or value != value.strip():
            raise bad_secret("has line breaks, blanks around it or signs that no header may have")
        return place.template.replace(HERE, value)
    if place.kind == "path" and (not _PATH_VALUE.fullmatch(value) or not value.strip(".")):
        raise bad_secret("has blanks or signs that no path may have")
    return quote(value, safe=":" if place.kind == "path" else "")
