"""API keys: shown once when made, then only by name."""

from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime, BaseModel, Field

from freehold.core.errors import Invalid
from freehold.core.tenants import Caller, Key
from freehold.tenants.keys import ENV, TEST, create, listed, revoke, rotate
from freehold.web.access import InTenant, Operator, TheState
from freehold.web.state import State
from freehold.web.views import Asked, Listed, Moment

router = APIRouter(tags=["keys"])

MOST_DAYS: Final = 3650
KeyId = Annotated[str, Path(description="Id of the key.", max_length=80)]


class Ending(Asked):
    """Something that may end by itself."""

    expires_at: AwareDatetime | None = None
    """When it ends; none: when it is revoked, or with the key that makes it."""
    expires_in_days: float | None = Field(default=None, gt=0, le=MOST_DAYS)
    """The same, said in days from now."""

    def end(self, at: datetime) -> datetime | None:
        """Return when the key shall end; raise `Invalid` (`bad_expiry`) where that is said in two ways."""
        if self.expires_in_days is None:
            return self.expires_at
        if self.expires_at is not None:
            raise Invalid(
                "The key's end is said twice.", code="bad_expiry", remedy="Give expires_at or expires_in_days."
            )
        return at + timedelta(days=self.expires_in_days)


class NewKey(Ending):
    """A key to make; making one takes no Idempotency-Key, since its text can be shown only once."""

    name: str = Field(default="", max_length=200)
    scopes: list[str] = Field(description="Each `noun:read|write|admin`, or `*`.", max_length=100)
    agent: str | None = Field(default=None, max_length=80)
    """Name or id of the one agent it is for; none: for the whole tenant."""


class Rotation(Asked):
    """How a key is replaced."""

    overlap_hours: float = Field(default=24.0, ge=0, le=24.0 * 90)
    """For how long the old one works beside the new one."""


class KeyView(BaseModel):
    """What is kept of a key."""

    id: str
    name: str
    scopes: list[str]
    agent: str | None
    created_at: Moment
    created_by: str
    expires_at: Moment | None
    last_used_at: Moment | None
    """To the minute, and a few seconds late."""
    replaced_by: str | None
    revoked_at: Moment | None
    """From when on it is out of force; ahead of now while another one takes its place."""

    @classmethod
    def of(cls, key: Key) -> "KeyView":
        """Show `key`."""
        return cls(**{name: getattr(key, name) for name in cls.model_fields} | {"scopes": sorted(key.scopes)})


class MadeKey(KeyView):
    """A key that was just made."""

    key: str
    """The key itself: this is the only time it is shown."""

    @classmethod
    def told(cls, made: tuple[Key, str]) -> "MadeKey":
        """Show a key with its text."""
        key, text = made
        return cls(**dict(KeyView.of(key)), key=text)


@router.post("/tenants/{tenant}/keys", status_code=201)
def create_key(at: InTenant, body: NewKey) -> MadeKey:
    """Make a key for the tenant, or for one agent of it, never wider than the caller's own."""
    return _create(at.state, at.caller, at.tenant.id, body)


@router.get("/tenants/{tenant}/keys")
def list_keys(at: InTenant) -> Listed[KeyView]:
    """Return the tenant's keys, also those out of force."""
    return _list(at.state, at.tenant.id)


@router.delete("/tenants/{tenant}/keys/{key}", status_code=204)
def revoke_key(at: InTenant, key: KeyId) -> Response:
    """Put a key out of force for good; streams that it opened end."""
    return _revoke(at.state, at.caller, at.tenant.id, key)


@router.post("/tenants/{tenant}/keys/{key}/rotate", status_code=201)
def rotate_key(at: InTenant, key: KeyId, body: Rotation) -> MadeKey:
    """Make a key with the same rights in its place; the old one works until the overlap is over."""
    return _rotate(at.state, at.caller, at.tenant.id, key, body)


@router.post("/keys", status_code=201)
def create_platform_key(caller: Operator, state: TheState, body: NewKey) -> MadeKey:
    """Make a key that works for every tenant."""
    return _create(state, caller, None, body)


@router.get("/keys")
def list_platform_keys(caller: Operator, state: TheState) -> Listed[KeyView]:
    """Return the keys that work for every tenant."""
    return _list(state, None)


@router.delete("/keys/{key}", status_code=204)
def revoke_platform_key(caller: Operator, state: TheState, key: KeyId) -> Response:
    """Put a key of the platform's out of force for good; streams that it opened end."""
    return _revoke(state, caller, None, key)


@router.post("/keys/{key}/rotate", status_code=201)
def rotate_platform_key(caller: Operator, state: TheState, key: KeyId, body: Rotation) -> MadeKey:
    """Make a key with the same rights in its place; the old one works until the overlap is over."""
    return _rotate(state, caller, None, key, body)


def _create(state: State, caller: Caller, tenant: str | None, body: NewKey) -> MadeKey:
    with state.store.write() as platform:
        made = create(
            platform,
            tenant=tenant,
            name=body.name,
            scopes=body.scopes,
            creator=caller,
            seal=state.seal,
            ids=state.ids,
            clock=state.clock,
            agent=body.agent,
            expires_at=body.end(state.clock.now()),
            env=_env(state),
        )
    return MadeKey.told(made)


def _list(state: State, tenant: str | None) -> Listed[KeyView]:
    with state.store.read() as platform:
        return Listed(items=[KeyView.of(key) for key in listed(platform, tenant, seal=state.seal)])


def _revoke(state: State, caller: Caller, tenant: str | None, key: str) -> Response:
    with state.store.write() as platform:
        revoke(platform, tenant=tenant, key=key, by=caller.actor, seal=state.seal, clock=state.clock)
    state.streams.end(key=key)
    return Response(status_code=204)


def _rotate(state: State, caller: Caller, tenant: str | None, key: str, body: Rotation) -> MadeKey:
    with state.store.write() as platform:
        made = rotate(
            platform,
            tenant=tenant,
            key=key,
            overlap=timedelta(hours=body.overlap_hours),
            by=caller,
            seal=state.seal,
            ids=state.ids,
            clock=state.clock,
            env=_env(state),
        )
    return MadeKey.told(made)


def _env(state: State) -> str:
    return TEST if state.settings.test else ENV
