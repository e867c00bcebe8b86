"""
Hosts that a version's programs may go to, as they are written down and as they are matched; pure.

`HOST` means its ports 80 and 443, `HOST:PORT` that one port. `*.DOMAIN` means whatever lies below the domain, and not
the domain itself.
"""

from collections.abc import Iterable
from typing import Final

from freehold.core.errors import Denied, Invalid
from freehold.gateway.outward.hosts import Place, host_of, place_of

PORTS: Final = frozenset({80, 443})
"""Where no port is stated."""
MOST: Final = 100
"""Patterns of one version."""
_BELOW: Final = "*."


def checked(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns in the one spelling in which they are matched; raise `Invalid` (`bad_egress`) for others."""
    found = tuple(dict.fromkeys(_spelt(pattern) for pattern in patterns))
    if len(found) > MOST:
        raise Invalid(
            f"These are more than {MOST} hosts.", code="bad_egress", remedy="Grant domains, such as *.example.com."
        )
    return found


def is_granted(patterns: Iterable[str], place: Place) -> bool:
    """Return whether any of `patterns`, spelt as `checked` does it, lets through to `place`."""
    host, name = place.host.in_url, place.host.name
    above = name.split(".") if place.host.address is None else []
    forms = {host, *(_BELOW + ".".join(above[at:]) for at in range(1, len(above)))}
    if place.port not in PORTS:
        forms = {f"{form}:{place.port}" for form in forms}
    else:
        forms |= {f"{form}:{place.port}" for form in forms}
    return not forms.isdisjoint(patterns)


def not_granted(place: Place) -> Denied:
    """Return the error that tells that a version was not granted `place`, and how it would be."""
    stated = place.host.in_url if place.port in PORTS else str(place)
    return Denied(
        f"This agent's programs may not go to {place}.",
        code="address_refused",
        remedy=f"Grant it in a new version of the agent: freehold agent update NAME --egress {stated}",
    )


def _spelt(pattern: str) -> str:
    below = _BELOW if pattern.startswith(_BELOW) else ""
    stated = pattern.removeprefix(_BELOW)
    try:
        place = place_of(stated, port=0)
        host = host_of(place.host.in_url)
    except Invalid as error:
        raise _bad(pattern) from error
    if below and (host.address is not None or "." not in host.name):
        raise _bad(pattern)
    return f"{below}{host.in_url}" + (f":{place.port}" if place.port else "")


def _bad(pattern: str) -> Invalid:
    return Invalid(
        f"{pattern[:80]!r} is no host that can be granted.",
        code="bad_egress",
        remedy="Write HOST or *.DOMAIN, such as git.example.org or *.example.com; with :PORT for another port than 80 and 443.",
    )
