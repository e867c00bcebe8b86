"""Connections: named outside accounts; their credentials are secrets, named here and kept by the gateway."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from freehold.core.errors import Conflict, NotFound
from freehold.gateway.client import WebGateway
from freehold.web.abroad import AccountHeldView, held_by
from freehold.web.access import IdempotencyKey, InTenant, Operator, TheState
from freehold.web.once import once
from freehold.web.state import State
from freehold.web.views import Asked, ErrorView, Listed, told_moment

router = APIRouter(tags=["connections"])

ConnectionName = Annotated[str, Path(description="Name of the connection.", max_length=80)]


class NewConnection(Asked):
    """A connection to create."""

    kind: str
    name: str
    config: dict[str, Any] = {}
    secret: str | None = None
    """Name of the secret that holds its credential."""


class ConnectionChange(Asked):
    """What shall be other about a connection; what is not said stays."""

    config: dict[str, Any] = {}
    """Such as `base_url`, `region` or `price`; null takes one away."""
    secret: str | None = None
    """Name of the secret that holds its credential; null for none."""


class ConnectionTestView(BaseModel):
    """How a connection answered."""

    ok: bool
    latency_ms: int | None = None
    models: int | None = None
    """How many models the provider offers; null where it does not say."""
    tools: int | None = None
    """How many tools the server tells of; null for a connection of models."""
    error: ErrorView | None = None


class ConnectionView(BaseModel):
    """A connection."""

    id: str
    name: str
    kind: str
    config: dict[str, Any]
    secret: str | None
    made_by: str
    made_at: str
    sign_in: AccountHeldView | None = None
    """The account it uses, where people sign in to it; told in lists."""


@router.post("/tenants/{tenant}/connections", status_code=201)
async def create_connection(at: InTenant, body: NewConnection, key: IdempotencyKey = "") -> ConnectionView:
    """Make a connection of the tenant's own."""
    return await _create(at.state, at.tenant.id, body, key, by=at.caller.actor)


@router.get("/tenants/{tenant}/connections")
async def list_connections(at: InTenant) -> Listed[ConnectionView]:
    """Return the tenant's own connections."""
    return await _listed(at.state.gateway, at.tenant.id)


@router.patch("/tenants/{tenant}/connections/{name}")
async def change_connection(at: InTenant, name: ConnectionName, body: ConnectionChange) -> ConnectionView:
    """Change where a connection goes and with which credential; in force with the next call."""
    return await _change(at.state.gateway, at.tenant.id, name, body, by=at.caller.actor)


@router.post("/tenants/{tenant}/connections/{name}/test")
async def test_connection(at: InTenant, name: ConnectionName) -> ConnectionTestView:
    """Try a connection: ask its provider for the list of models, or its server for its tools, which costs nothing."""
    return ConnectionTestView(**await at.state.gateway.test_connection(at.tenant.id, name, by=at.caller.actor))


@router.delete("/tenants/{tenant}/connections/{name}", status_code=204)
async def delete_connection(at: InTenant, name: ConnectionName) -> Response:
    """Delete a connection; versions that use it get an error from then on."""
    await at.state.gateway.delete_connection(at.tenant.id, name, by=at.caller.actor)
    return Response(status_code=204)


@router.post("/connections", status_code=201)
async def create_platform_connection(
    caller: Operator, state: TheState, body: NewConnection, key: IdempotencyKey = ""
) -> ConnectionView:
    """Make a connection that every tenant sees."""
    return await _create(state, None, body, key, by=caller.actor)


@router.get("/connections")
async def list_platform_connections(caller: Operator, state: TheState) -> Listed[ConnectionView]:
    """Return the connections that every tenant sees."""
    return await _listed(state.gateway, None)


@router.patch("/connections/{name}")
async def change_platform_connection(
    caller: Operator, state: TheState, name: ConnectionName, body: ConnectionChange
) -> ConnectionView:
    """Change where a connection of the platform's goes and with which credential; in force with the next call."""
    return await _change(state.gateway, None, name, body, by=caller.actor)


@router.post("/connections/{name}/test")
async def test_platform_connection(caller: Operator, state: TheState, name: ConnectionName) -> ConnectionTestView:
    """Try a connection of the platform's: ask for the list of models or tools, which costs nothing."""
    return ConnectionTestView(**await state.gateway.test_connection(None, name, by=caller.actor))


@router.delete("/connections/{name}", status_code=204)
async def delete_platform_connection(caller: Operator, state: TheState, name: ConnectionName) -> Response:
    """Delete a connection of the platform's."""
    await state.gateway.delete_connection(None, name, by=caller.actor)
    return Response(status_code=204)


async def _create(state: State, tenant: str | None, body: NewConnection, key: str, *, by: str) -> ConnectionView:
    async def make() -> str:
        made = await made_connection(state.gateway, tenant, body, by=by, repeat=bool(key))
        return str(made["id"])

    made = await once(state, tenant, "connections", key, body.plain(), make)
    known = await state.gateway.list_connections(tenant)
    found = next((connection for connection in known if connection["id"] == made), None)
    if found is None:
        raise NotFound("The connection was deleted meanwhile.")
    return _view(found)


async def made_connection(
    gateway: WebGateway, tenant: str | None, body: NewConnection, *, by: str, repeat: bool
) -> dict[str, Any]:
    """Make a connection and return it; in a `repeat`, one that is just what `body` asks for is taken as made."""
    try:
        return await gateway.create_connection(
            tenant, kind=body.kind, name=body.name, config=body.config, secret=body.secret, by=by
        )
    except Conflict:
        wanted = (body.kind, body.name, body.config, body.secret)
        for known in await gateway.list_connections(tenant) if repeat else ():
            if (known["kind"], known["name"], known["config"], known["secret"]) == wanted:
                return known
        raise


async def _change(
    gateway: WebGateway, tenant: str | None, name: str, body: ConnectionChange, *, by: str
) -> ConnectionView:
    other = {"secret": body.secret} if "secret" in body.model_fields_set else {}
    return _view(await gateway.change_connection(tenant, name, config=body.config, by=by, **other))


async def _listed(gateway: WebGateway, tenant: str | None) -> Listed[ConnectionView]:
    known = await gateway.list_connections(tenant)
    held = await held_by(gateway, tenant, known)
    return Listed(items=[_view(connection | {"sign_in": held.get(connection["name"])}) for connection in known])


def _view(connection: dict[str, Any]) -> ConnectionView:
    return ConnectionView(**connection | {"made_at": told_moment(connection["made_at"])})
