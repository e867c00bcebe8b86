"""API keys: shown once when made, then only by name."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from freehold.core.tenants import Key
from freehold.tenants.keys import create, revoke
from freehold.web.access import InTenant, Operator, TheState
from freehold.web.views import Asked, Listed, Moment

router = APIRouter(tags=["keys"])

KeyId = Annotated[str, Path(description="Id of the key.", max_length=80)]


class NewKey(Asked):
    """A key to make; making one takes no Idempotency-Key, since its text can be shown only once."""

    name: str = Field(default="", max_length=200)
    scopes: list[str] = Field(description="Each `noun:read|write|admin`, or `*`.", max_length=100)


class KeyView(BaseModel):
    """What is kept of a key."""

    id: str
    name: str
    scopes: list[str]
    created_at: Moment
    revoked_at: Moment | None

    @classmethod
    def of(cls, key: Key) -> "KeyView":
        """Show `key`."""
        return cls(
            id=key.id,
            name=key.name,
            scopes=sorted(key.scopes),
            created_at=key.created_at,
            revoked_at=key.revoked_at,
        )


class MadeKey(KeyView):
    """A key that was just made."""

    key: str
    """The key itself: this is the only time it is shown."""


@router.post("/tenants/{tenant}/keys", status_code=201)
def create_key(at: InTenant, body: NewKey) -> MadeKey:
    """Make a key for the tenant, never wider than the caller's own."""
    state = at.state
    with state.store.write() as platform:
        key, text = create(
            platform,
            tenant=at.tenant.id,
            name=body.name,
            scopes=body.scopes,
            creator=at.caller,
            seal=state.seal,
            ids=state.ids,
            clock=state.clock,
        )
    return MadeKey(**KeyView.of(key).model_dump(), key=text)


@router.get("/tenants/{tenant}/keys")
def list_keys(at: InTenant) -> Listed[KeyView]:
    """Return the tenant's keys."""
    with at.state.store.read() as platform:
        return Listed(items=[KeyView.of(key) for key in platform.keys.of(at.tenant.id)])


@router.delete("/tenants/{tenant}/keys/{key}", status_code=204)
def revoke_key(at: InTenant, key: KeyId) -> Response:
    """Put a key out of force for good."""
    with at.state.store.write() as platform:
        revoke(platform, tenant=at.tenant.id, key=key, by=at.caller.actor, clock=at.state.clock)
    return Response(status_code=204)


@router.post("/keys", status_code=201)
def create_platform_key(caller: Operator, state: TheState, body: NewKey) -> MadeKey:
    """Make a key that works for every tenant."""
    with state.store.write() as platform:
        key, text = create(
            platform,
            tenant=None,
            name=body.name,
            scopes=body.scopes,
            creator=caller,
            seal=state.seal,
            ids=state.ids,
            clock=state.clock,
        )
    return MadeKey(**KeyView.of(key).model_dump(), key=text)


@router.get("/keys")
def list_platform_keys(caller: Operator, state: TheState) -> Listed[KeyView]:
    """Return the keys that work for every tenant."""
    with state.store.read() as platform:
        return Listed(items=[KeyView.of(key) for key in platform.keys.of(None)])


@router.delete("/keys/{key}", status_code=204)
def revoke_platform_key(caller: Operator, state: TheState, key: KeyId) -> Response:
    """Put a key of the platform's out of force for good."""
    with state.store.write() as platform:
        revoke(platform, tenant=None, key=key, by=caller.actor, clock=state.clock)
    return Response(status_code=204)
