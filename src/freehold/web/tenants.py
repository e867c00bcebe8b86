"""Tenants."""

from fastapi import APIRouter
from pydantic import BaseModel

from freehold.audit.canonical import digest
from freehold.core.tenants import Tenant
from freehold.store.outbox import Idempotency
from freehold.tenants.creating import create
from freehold.tenants.tiers import terms
from freehold.web.access import IdempotencyKey, InTenant, Operator, TheCaller, TheState
from freehold.web.lists import Cursor, Limit, page
from freehold.web.views import Asked, Listed, Moment

router = APIRouter(tags=["tenants"])
PLACE = "tenants"


class NewTenant(Asked):
    """A tenant to create."""

    slug: str
    name: str = ""
    trial: bool = False
    """Whether it is a trial: a tier for some days."""


class TenantView(BaseModel):
    """A tenant."""

    id: str
    slug: str
    name: str
    state: str
    created_at: Moment
    tier: str
    tier_until: Moment | None
    """When what was paid for, or tried, ends; none: it does not."""
    tier_source: str
    """operator, trial or billing."""

    @classmethod
    def of(cls, tenant: Tenant) -> "TenantView":
        """Show `tenant`."""
        return cls(**{name: getattr(tenant, name) for name in cls.model_fields})


@router.post("/tenants", status_code=201)
def create_tenant(caller: Operator, state: TheState, body: NewTenant, key: IdempotencyKey = "") -> TenantView:
    """Create a tenant: it can be worked with at once."""
    with state.store.write() as platform:
        asked = Idempotency(platform.connection, "")  # before there is a tenant, requests are the platform's
        made = asked.made(PLACE, key, digest(body.plain())) if key else None
        if made is not None:
            return TenantView.of(platform.tenants.find(made))
        begins = terms(platform, default=state.settings.default_tier, on_trial=body.trial, at=state.clock.now())
        tenant = create(
            platform,
            slug=body.slug,
            name=body.name,
            by=caller.actor,
            ids=state.ids,
            clock=state.clock,
            terms=begins,
        )
        if key:
            asked.keep(PLACE, key, digest(body.plain()), tenant.id, at=state.clock.now())
        return TenantView.of(tenant)


@router.get("/tenants")
def list_tenants(caller: TheCaller, state: TheState, limit: Limit = 100, cursor: Cursor = "") -> Listed[TenantView]:
    """Return the tenants that the caller may see."""
    with state.store.read() as platform:
        if not caller.may("tenants:read"):
            seen = sorted(tenant for tenant in caller.within if caller.may("tenants:read", tenant))
            return Listed(items=[TenantView.of(platform.tenants.find(tenant)) for tenant in seen])
        found = platform.tenants.page(after=cursor, limit=limit + 1)
    return page(found, limit, show=TenantView.of, key=lambda tenant: tenant.id)


@router.get("/tenants/{tenant}")
def show_tenant(at: InTenant) -> TenantView:
    """Return one tenant."""
    return TenantView.of(at.tenant)
