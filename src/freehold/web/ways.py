"""Which ways to sign in there are: what a page offers before anybody is known."""

from fastapi import APIRouter
from pydantic import BaseModel

from freehold.tenants.devices import party_of
from freehold.web.access import TheState
from freehold.web.signing_in import is_claimed
from freehold.web.state import State

router = APIRouter(tags=["sign-in"])


class Provider(BaseModel):
    """The provider people sign in with."""

    name: str


class Ways(BaseModel):
    """How people can sign in here."""

    claimed: bool
    """Whether there is an operator; until then the link that `freehold up` prints is the way in."""
    code: bool
    """By a code that is mailed."""
    oidc: Provider | None
    passkey: bool


@router.get("/login/ways")
async def list_ways(state: TheState) -> Ways:
    """Return which ways to sign in there are."""
    return ways_of(state, claimed=await is_claimed(state))


def ways_of(state: State, *, claimed: bool) -> Ways:
    """Return which ways to sign in there are."""
    settings = state.settings
    provider = Provider(name=settings.oidc_name) if settings.oidc_issuer else None
    return Ways(claimed=claimed, code=True, oidc=provider, passkey=party_of(settings.base_url) is not None)
