"""Where a program may go: what its version was granted, and what of that the guard lets anybody connect to."""

from typing import final

from freehold.gateway.asked import Behalf
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.egress import hosts_granted
from freehold.gateway.outward.client import tried
from freehold.gateway.outward.guard import Guard
from freehold.gateway.outward.hosts import Address, Place
from freehold.gateway.ports import NotSent


@final
class Judge:
    """Judges places for programs."""

    def __init__(self, guard: Guard) -> None:
        """Ask `guard` what names mean, once it is known that they are granted: a name that is looked up is told."""
        self._guard = guard

    async def addresses(self, place: Place, speaker: Speaker) -> tuple[Address, ...]:
        """
        Return the addresses of `place` that a program of `speaker` may be connected to.

        Raises `Denied` (`address_refused`) where there are none, and `NotSent` (502) where nobody knows the name.
        """
        if not hosts_granted.is_granted(speaker.grants.egress, place):
            raise hosts_granted.not_granted(place)
        try:
            found = await self._guard.addresses(place, Behalf(speaker.whom.tenant))
        except NotSent as error:
            error.status = 502
            raise
        return tuple(tried(found))
