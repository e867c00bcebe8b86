"""Secrets: a value goes in and never comes out again."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, SecretStr

from freehold.core.errors import NotFound
from freehold.gateway.client import WebGateway
from freehold.web.access import IdempotencyKey, InTenant, Operator, TheState
from freehold.web.once import once
from freehold.web.state import State
from freehold.web.views import Asked, Listed, told_moment

router = APIRouter(tags=["secrets"])

SecretName = Annotated[str, Path(description="Name of the secret.", max_length=80)]


class NewSecret(Asked):
    """A secret to set."""

    name: str
    value: SecretStr = Field(description="Sealed at once; no answer ever holds it.")


class SecretView(BaseModel):
    """What may be told about a secret."""

    name: str
    version: int
    set_by: str
    set_at: str


class Rotate(Asked):
    """Which keys to replace."""

    master: bool = False
    """The master key, which wraps all others; otherwise the data keys, under which everything lies."""


class RotationView(BaseModel):
    """How replacing keys stands."""

    running: bool
    total: int
    """Sealed rows there are to look at."""
    done: int
    keys: int
    """Keys that were replaced."""
    code: str
    """What went wrong; empty where nothing did."""
    message: str
    remedy: str


class FaultView(BaseModel):
    """Something in the vault that is not as it was left."""

    tenant: str
    """Empty for the platform's own."""
    what: str


class ScanView(BaseModel):
    """What a look through the vault found."""

    faults: list[FaultView]
    owners: int
    """Tenants, and the platform, whose part was looked at."""


@router.post("/tenants/{tenant}/secrets/rotate", status_code=202)
async def rotate_key(at: InTenant) -> RotationView:
    """Begin to give the tenant a fresh data key; all that is sealed for it is sealed anew while it goes on."""
    return RotationView(**await at.state.gateway.rotate_keys(at.tenant.id, by=at.caller.actor))


@router.get("/tenants/{tenant}/secrets/rotation")
async def show_rotation(at: InTenant) -> RotationView:
    """Return how far the last such is."""
    return RotationView(**await at.state.gateway.rotation(at.tenant.id))


@router.post("/secrets/rotate", status_code=202)
async def rotate_all_keys(caller: Operator, state: TheState, body: Rotate) -> RotationView:
    """Begin to give everybody a fresh data key, or to put all of them under a fresh master key."""
    return RotationView(**await state.gateway.rotate_keys(None, by=caller.actor, master=body.master))


@router.get("/secrets/rotation")
async def show_rotation_of_all(caller: Operator, state: TheState) -> RotationView:
    """Return how far the last such is."""
    return RotationView(**await state.gateway.rotation(None))


@router.get("/secrets/scan")
async def scan_secrets(caller: Operator, state: TheState) -> ScanView:
    """Compare what lies in the vault with its lists, and those with the record."""
    return ScanView(**await state.gateway.scan_secrets(None))


@router.post("/tenants/{tenant}/secrets", status_code=201)
async def set_secret(at: InTenant, body: NewSecret, key: IdempotencyKey = "") -> SecretView:
    """Set a secret of the tenant; setting it again makes its next version."""
    return await _set(at.state, at.tenant.id, body, key, by=at.caller.actor)


@router.get("/tenants/{tenant}/secrets")
async def list_secrets(at: InTenant) -> Listed[SecretView]:
    """Return the names of the tenant's secrets."""
    return await _listed(at.state.gateway, at.tenant.id)


@router.delete("/tenants/{tenant}/secrets/{name}", status_code=204)
async def delete_secret(at: InTenant, name: SecretName) -> Response:
    """Forget a secret that no connection uses."""
    await at.state.gateway.delete_secret(at.tenant.id, name, by=at.caller.actor)
    return Response(status_code=204)


@router.post("/secrets", status_code=201)
async def set_platform_secret(
    caller: Operator, state: TheState, body: NewSecret, key: IdempotencyKey = ""
) -> SecretView:
    """Set a secret of the platform's own."""
    return await _set(state, None, body, key, by=caller.actor)


@router.get("/secrets")
async def list_platform_secrets(caller: Operator, state: TheState) -> Listed[SecretView]:
    """Return the names of the platform's secrets."""
    return await _listed(state.gateway, None)


@router.delete("/secrets/{name}", status_code=204)
async def delete_platform_secret(caller: Operator, state: TheState, name: SecretName) -> Response:
    """Forget a secret of the platform's that no connection uses."""
    await state.gateway.delete_secret(None, name, by=caller.actor)
    return Response(status_code=204)


async def _set(state: State, tenant: str | None, body: NewSecret, key: str, *, by: str) -> SecretView:
    async def make() -> str:
        await state.gateway.set_secret(tenant, body.name, body.value.get_secret_value(), by=by)
        return body.name

    # The value is no part of what is kept about the request: not even its hash leaves for the database.
    made = await once(state, tenant, "secrets", key, [body.name], make)
    found = next((secret for secret in await state.gateway.list_secrets(tenant) if secret["name"] == made), None)
    if found is None:
        raise NotFound("The secret was deleted meanwhile.")
    return _view(found)


async def _listed(gateway: WebGateway, tenant: str | None) -> Listed[SecretView]:
    return Listed(items=[_view(secret) for secret in await gateway.list_secrets(tenant)])


def _view(secret: dict[str, Any]) -> SecretView:
    return SecretView(**secret | {"set_at": told_moment(secret["set_at"])})
