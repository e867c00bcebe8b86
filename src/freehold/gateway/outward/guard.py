"""
The guard: a name is resolved once, every address is judged, and the caller connects to exactly one of those.

Public addresses are open to everybody. Those of a private network, and this machine's own, are open where an operator
said so: by naming a destination for a tenant or for all, or by having written the connection that leads there. What
no network should route is open to nobody.
"""

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from freehold.core.errors import Denied
from freehold.gateway.asked import Behalf
from freehold.gateway.outward.destinations import Allowed, leads_to
from freehold.gateway.outward.hosts import Address, Host, Place
from freehold.gateway.outward.lookups import Lookup, Lookups
from freehold.gateway.outward.ours import is_ours
from freehold.gateway.outward.ranges import Range, range_of
from freehold.gateway.ports import NotSent

REMEMBERED_SECONDS: Final = 30.0
"""How long what a name meant is remembered; a name server that changes its mind changes nothing we judged."""
REMEMBERED: Final = 4_096
RESOLVE_SECONDS: Final = 10.0
MOST: Final = 32
"""Addresses of one name that are looked at."""


@final
@dataclass(frozen=True, slots=True)
class _Found:
    addresses: tuple[tuple[Address, Range], ...]
    until: float


@final
class Guard:
    """Says which addresses may be connected to."""

    def __init__(self, allowed: Allowed, *, lookup: Lookup | None = None) -> None:
        """Let through to what is public or `allowed`; ask `lookup` what names mean (the system, unless stated)."""
        self._allowed, self._lookups = allowed, Lookups(lookup)
        self._known: dict[str, _Found] = {}

    async def addresses(self, place: Place, behalf: Behalf) -> tuple[Address, ...]:
        """
        Return the addresses of `place` that may be connected to, at least one.

        Raises `Denied` (`address_refused`) where none may, and `NotSent` (`name_unknown`) where the name has none.
        """
        found = await self._resolved(place.host, behalf)
        if all(kind is Range.PUBLIC for _, kind in found):
            return tuple(address for address, _ in found)
        private = behalf.operators or leads_to(await self._allowed(), place, behalf)
        open_to = {Range.PUBLIC, Range.PRIVATE} if private else {Range.PUBLIC}
        allowed = tuple(address for address, kind in found if kind in open_to)
        if not allowed:
            raise refused(place, behalf, never=all(kind is Range.NEVER for _, kind in found))
        return allowed

    async def _resolved(self, host: Host, behalf: Behalf) -> tuple[tuple[Address, Range], ...]:
        now = asyncio.get_running_loop().time()
        known = self._known.get(host.name)
        if known is not None and known.until > now:
            return known.addresses
        addresses = [host.address] if host.address is not None else await self._looked_up(host, behalf)
        found = tuple((address, judged(address)) for address in dict.fromkeys(addresses))
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[host.name] = _Found(found, now + REMEMBERED_SECONDS)
        return found

    async def _looked_up(self, host: Host, behalf: Behalf) -> list[Address]:
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = _addresses(await self._lookups.addresses(host.name, behalf.tenant))
        except (OSError, ValueError) as error:
            raise _unknown(host) from error
        if not found:
            raise _unknown(host)
        return found


def refused(place: Place, behalf: Behalf, *, never: bool = False) -> Denied:
    """Return the error that tells that `behalf` may not go to `place`; `never` is whether nobody may."""
    for_whom = f" --tenant {behalf.tenant}" if behalf.tenant else ""
    allow = f"Who runs the platform can allow it: freehold destination allow NAME {place}{for_whom}"
    nobody = "Nobody can allow it: such addresses are for machines beside each other, or for none at all."
    return Denied(f"{place} is no public address.", code="address_refused", remedy=nobody if never else allow)


def _unknown(host: Host) -> NotSent:
    return NotSent(
        f"Nobody knows an address of {host.name}.", code="name_unknown", remedy="Look whether the name is spelt right."
    )


def judged(address: Address) -> Range:
    """Return what `address` is to this machine: its own addresses are nobody else's, however public."""
    kind = range_of(address)
    return Range.PRIVATE if kind is Range.PUBLIC and is_ours(address) else kind


def _addresses(texts: Sequence[str]) -> list[Address]:
    return [ipaddress.ip_address(text.partition("%")[0]) for text in texts[:MOST]]
