"""Tiers: what there is to have, and how much of each thing it gives."""

import math
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from freehold.catalog.tiers import shipped
from freehold.core.quotas import Tier
from freehold.tenants.tiers import reset_tier, set_tier, tiers
from freehold.web.access import Operator, TheCaller, TheState
from freehold.web.limiting import changed
from freehold.web.views import Asked, Listed

router = APIRouter(prefix="/tiers", tags=["tiers"])

TierName = Annotated[str, Path(description="Name of the tier.", max_length=80)]
Number = int | float
Limit = Annotated[float, Field(strict=True, ge=0, le=1e15, allow_inf_nan=False)]


class NewLimits(Asked):
    """How much of each thing a tier gives."""

    limits: dict[str, Limit | None] = Field(max_length=100)
    """Quota → number, null where there is no limit; what is not named stays as it is."""


class TierView(BaseModel):
    """A tier."""

    name: str
    ships: bool
    """Whether it comes with the platform; what was changed about it can be reset then."""
    limits: dict[str, Number | None]
    """Quota → number, null where there is no limit."""

    @classmethod
    def of(cls, tier: Tier) -> "TierView":
        """Show `tier`."""
        limits = {str(quota): number(limit) for quota, limit in tier.limits.items()}
        return cls(name=tier.name, ships=tier.name in shipped(), limits=limits)


@router.get("")
def list_tiers(caller: TheCaller, state: TheState) -> Listed[TierView]:
    """Return all tiers."""
    with state.store.read() as platform:
        return Listed(items=[TierView.of(tier) for tier in tiers(platform)])


@router.put("/{tier}")
async def change_tier(caller: Operator, state: TheState, tier: TierName, body: NewLimits) -> TierView:
    """Change a tier, or make a new one without further limits; tenants that have it are held to it at once."""
    by, clock = caller.actor, state.clock
    made = await changed(state, lambda platform: set_tier(platform, tier, body.limits, by=by, clock=clock), by=by)
    return TierView.of(made)


@router.delete("/{tier}", status_code=204)
async def undo_tier(caller: Operator, state: TheState, tier: TierName) -> Response:
    """Undo what was changed about a tier; one that does not ship is gone then, if no tenant has it."""
    by, clock = caller.actor, state.clock
    await changed(state, lambda platform: reset_tier(platform, tier, by=by, clock=clock), by=by)
    return Response(status_code=204)


def number(limit: float) -> Number | None:
    """Return a limit as it is written on the wire: null where there is none."""
    if limit == math.inf:
        return None
    return int(limit) if limit == int(limit) else limit
