"""
Where a connection says that it leads, looked at while it is made.

What can be seen without asking a name server is refused at once: an address of a private network that nobody opened,
and what two readers would read differently. What a name means is found out anew at each call, and judged then.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection as Tx

from freehold.audit.recording import PLATFORM
from freehold.gateway.asked import Behalf
from freehold.gateway.outward import destinations
from freehold.gateway.outward.guard import judged, refused
from freehold.gateway.outward.hosts import Host, place_in
from freehold.gateway.outward.ranges import Range

LOCAL: Final = "localhost"
"""The name, and all names within it, that every machine takes for itself."""


def require_open(tx: Tx, config: Mapping[str, Any], *, tenant: str | None) -> None:
    """
    Raise `Denied` (`address_refused`) if an address in `config` is one that `tenant` (none: the platform) may not go to.

    Also raises `Invalid` (`bad_host`, `bad_address`) for an address that is not plainly one.
    """
    behalf = Behalf(tenant or PLATFORM, operators=tenant is None)
    for url in _addresses(config):
        place = place_in(url)
        kind = _seen(place.host)
        if kind is Range.PUBLIC:
            continue
        allowed = behalf.operators or destinations.leads_to(destinations.allowed(tx), place, behalf)
        if kind is Range.NEVER or not allowed:
            raise refused(place, behalf, never=kind is Range.NEVER)


def _addresses(config: Mapping[str, Any]) -> list[str]:
    return [value for name, value in config.items() if name.endswith("url") and isinstance(value, str) and value]


def _seen(host: Host) -> Range:
    """Return what a host is, as far as it shows; a name is nobody's own until it is asked for."""
    if host.address is not None:
        return judged(host.address)
    return Range.PRIVATE if host.name == LOCAL or host.name.endswith(f".{LOCAL}") else Range.PUBLIC
