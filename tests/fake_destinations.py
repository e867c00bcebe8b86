"""As much of the gateway's destinations as web's own tests need."""

from dataclasses import dataclass, field
from typing import Any

from freehold.core.errors import NotFound
from freehold.gateway.outward.hosts import place_of


@dataclass
class FakeDestinations:
    """What is open, in memory."""

    destinations: dict[tuple[str | None, str], dict[str, Any]] = field(default_factory=dict)

    async def allow_destination(self, tenant: str | None, *, name: str, place: str, by: str) -> dict[str, Any]:
        meant = place_of(place)
        told = {"name": name, "host": meant.host.name, "port": meant.port, "set_by": by, "set_at": 1_767_268_800_000}
        return self.destinations.setdefault((tenant, name), told)

    async def list_destinations(self, tenant: str | None) -> list[dict[str, Any]]:
        return [told for (whose, _), told in self.destinations.items() if whose == tenant]

    async def remove_destination(self, tenant: str | None, name: str, *, by: str) -> None:
        if self.destinations.pop((tenant, name), None) is None:
            raise NotFound("There is no such destination.")
