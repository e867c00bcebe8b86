"""What web may ask about kill switches, about tiers and about the end of a tenant."""

from collections.abc import Callable
from typing import Any, final

from freehold.gateway import ledger, switches
from freehold.gateway import requests as asked
from freehold.gateway.edge import Answer, route
from freehold.gateway.flights import Flights
from freehold.gateway.keeping import Keep
from freehold.gateway.tier_socket import Tiers


@final
class Switches:
    """Answers about switches, one method per route."""

    def __init__(self, keep: Keep, flights: Flights, forget: Callable[[str], None] = lambda _tenant: None) -> None:
        """
        Throw switches in `keep`; `flights` knows what is under way meanwhile.

        `forget` lets the books read a tenant's limits anew.
        """
        self._keep, self._flights, self._tiers = keep, flights, Tiers(keep, forget)

    def routes(self) -> dict[str, Answer]:
        """Return what web's socket answers."""
        return self._tiers.routes() | {
            "switches/show": route(asked.TenantRequest, self._show),
            "switches/effects": route(asked.SwitchRequest, self._effects),
            "tenants/hold": route(asked.HoldRequest, self._hold),
            "tenants/held": route(asked.Nothing, self._held),
            "runs/retire": route(asked.RetireRequest, self._retire),
            "tenants/erase": route(asked.EraseRequest, self._erase),
        }

    async def _show(self, request: asked.TenantRequest) -> dict[str, Any]:
        shown = await self._keep.read(lambda tx: switches.shown(tx, tenant=request.tenant))
        return shown | {"in_flight": self._flights.count(request.tenant)}

    async def _effects(self, request: asked.SwitchRequest) -> dict[str, Any]:
        how: dict[str, Any] = {"tenant": request.tenant, "by": request.by, "paused": request.paused}
        await self._keep.write(lambda tx: switches.pause(tx, self._keep, **how))
        return await self._show(asked.TenantRequest(tenant=request.tenant))

    async def _hold(self, request: asked.HoldRequest) -> None:
        how: dict[str, Any] = {"tenant": request.tenant or "", "by": request.by, "held": request.held}
        await self._keep.write(lambda tx: switches.hold(tx, self._keep, **how))

    async def _held(self, _request: asked.Nothing) -> list[str]:
        return await self._keep.read(switches.held)

    async def _retire(self, request: asked.RetireRequest) -> None:
        await self._keep.write(lambda tx: ledger.retire(tx, tenant=request.tenant, runs=request.runs))

    async def _erase(self, request: asked.EraseRequest) -> dict[str, Any]:
        gone = await self._keep.write(lambda tx: switches.erase(tx, self._keep, tenant=request.tenant, by=request.by))
        await self._keep.wipe()
        return gone
