"""Destinations: places in private networks that an operator opened, for one tenant or for all."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from freehold.gateway.client import WebGateway
from freehold.web.access import InTenant, Operator, TheState
from freehold.web.views import Asked, Listed, told_moment

router = APIRouter(tags=["destinations"])

DestinationName = Annotated[str, Path(description="Name of the destination.", max_length=80)]


class NewDestination(Asked):
    """A destination to open."""

    name: str
    place: str = Field(max_length=300)
    """`HOST:PORT`, or `HOST:*` for every port of that host; a host is a name or an address."""


class DestinationView(BaseModel):
    """A destination."""

    name: str
    place: str
    """`HOST:PORT`, or `HOST:*`."""
    host: str
    port: int | None
    """Null where every port is meant."""
    tenant: str | None
    """To whom it is open; null for every tenant."""
    set_by: str
    set_at: str

    @classmethod
    def of(cls, told: dict[str, Any], tenant: str | None) -> "DestinationView":
        """Show a destination as the gateway tells it."""
        host, port = told["host"], told["port"] or None
        bracketed = f"[{host}]" if ":" in host else host
        set_at = str(told_moment(told["set_at"]))
        place = f"{bracketed}:{port or '*'}"
        named = {"name": told["name"], "set_by": told["set_by"]}
        return cls(**named, place=place, host=host, port=port, tenant=tenant, set_at=set_at)


@router.get("/destinations")
async def list_destinations(caller: Operator, state: TheState) -> Listed[DestinationView]:
    """Return what is open to every tenant."""
    return await _listed(state.gateway, None)


@router.post("/destinations", status_code=201)
async def allow_destination(caller: Operator, state: TheState, body: NewDestination) -> DestinationView:
    """Open a place in a private network to every tenant; the same again changes nothing."""
    return await _allowed(state.gateway, None, body, by=caller.actor)


@router.delete("/destinations/{name}", status_code=204)
async def remove_destination(caller: Operator, state: TheState, name: DestinationName) -> Response:
    """Close a destination again; in force with the next call."""
    await state.gateway.remove_destination(None, name, by=caller.actor)
    return Response(status_code=204)


@router.get("/tenants/{tenant}/destinations")
async def list_tenant_destinations(at: InTenant) -> Listed[DestinationView]:
    """Return what is open to this tenant alone."""
    return await _listed(at.state.gateway, at.tenant.id)


@router.post("/tenants/{tenant}/destinations", status_code=201)
async def allow_tenant_destination(at: InTenant, body: NewDestination) -> DestinationView:
    """Open a place in a private network to this tenant alone; only who runs the platform may."""
    return await _allowed(at.state.gateway, at.tenant.id, body, by=at.caller.actor)


@router.delete("/tenants/{tenant}/destinations/{name}", status_code=204)
async def remove_tenant_destination(at: InTenant, name: DestinationName) -> Response:
    """Close a destination of this tenant's again; in force with the next call."""
    await at.state.gateway.remove_destination(at.tenant.id, name, by=at.caller.actor)
    return Response(status_code=204)


async def _listed(gateway: WebGateway, tenant: str | None) -> Listed[DestinationView]:
    return Listed(items=[DestinationView.of(one, tenant) for one in await gateway.list_destinations(tenant)])


async def _allowed(gateway: WebGateway, tenant: str | None, body: NewDestination, *, by: str) -> DestinationView:
    return DestinationView.of(await gateway.allow_destination(tenant, name=body.name, place=body.place, by=by), tenant)
