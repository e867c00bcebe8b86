"""A tenant's tier, and how it stands with what the tier allows."""

from dataclasses import replace
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from freehold.core.quotas import Quota
from freehold.core.tenants import Tenant, TierSource
from freehold.store.platform import Platform
from freehold.store.threads import in_thread
from freehold.tenants.quotas import Use, report
from freehold.tenants.tiers import Terms, give, trial_terms
from freehold.web.access import Here, InTenant
from freehold.web.limiting import changed
from freehold.web.tenants import TenantView
from freehold.web.tiers import Number, number
from freehold.web.views import Asked, Listed

router = APIRouter(prefix="/tenants/{tenant}", tags=["tiers"])
NANO = 1e9


class NewTier(Asked):
    """The tier a tenant is to have."""

    tier: str = Field(max_length=80)
    until: AwareDatetime | None = None
    """When it ends; none: it does not, but for a trial, which has its days."""
    source: TierSource = TierSource.OPERATOR

    def terms(self, at: datetime) -> Terms:
        """Return the body as the noun."""
        until = self.until
        if until is None and self.source is TierSource.TRIAL:
            until = trial_terms(at).tier_until
        return Terms(tier=self.tier, tier_until=until, tier_source=self.source)


class QuotaView(BaseModel):
    """How a tenant stands with one quota."""

    quota: Quota
    limit: Number | None
    """Null where there is none."""
    used: Number
    over: bool
    """Whether there is more than allowed: it is kept, and nothing new is possible."""

    @classmethod
    def of(cls, use: Use) -> "QuotaView":
        """Show `use`."""
        return cls(quota=use.quota, limit=number(use.limit), used=number(use.used) or 0, over=use.over)


@router.put("/tier")
async def put_tier(at: InTenant, body: NewTier) -> TenantView:
    """Let the tenant have a tier from now on; what it has beyond its quotas is kept."""
    clock, by = at.state.clock, at.caller.actor

    def change(platform: Platform) -> Tenant:
        return give(platform, at.tenant, body.terms(clock.now()), by=by, clock=clock)

    return TenantView.of(await changed(at.state, change, by=by))


@router.get("/quotas")
async def list_quotas(at: InTenant) -> Listed[QuotaView]:
    """Return how much of each quota the tenant may have and has."""
    now = at.state.clock.now()
    month = round(now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)
    spent = (await at.state.gateway.usage(at.tenant.id, since=month))["total"].get("charge_nano", 0) / NANO
    uses = await in_thread(_report, at, now)
    known = [replace(use, used=spent) if use.quota is Quota.SPEND_USD else use for use in uses]
    return Listed(items=[QuotaView.of(use) for use in known])


def _report(at: Here, now: datetime) -> list[Use]:
    with at.tenancy.read() as scope:
        return report(scope.connection, scope.tenant, at=now)
