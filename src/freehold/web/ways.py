"""Which ways to sign in there are: what a page offers before anybody is known."""

from fastapi import APIRouter
from pydantic import BaseModel

from freehold.tenants.devices import party_of
from freehold.web.access import TheState
from freehold.web.state import State

router = APIRouter(tags=["sign-in"])


class Provider(BaseModel):
    """The provider people sign in with."""

    name: str


class Ways(BaseModel):
    """How people can sign in here."""

    code: bool
    """By a code that is mailed."""
    oidc: Provider | None
    passkey: bool


@router.get("/login/ways")
async def list_ways(state: TheState) -> Ways:  # async: nothing to wait for
    """Return which ways to sign in there are."""
    return ways_of(state)


def ways_of(state: State) -> Ways:
    """Return which ways to sign in there are."""
    settings = state.settings
    provider = Provider(name=settings.oidc_name) if settings.oidc_issuer else None
    return Ways(code=True, oidc=provider, passkey=party_of(settings.base_url) is not None)
