"""Tenants, and what happens to them in their lives."""

from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from freehold.audit.canonical import digest
from freehold.core.errors import Denied, Invalid, Unavailable
from freehold.core.tenants import Caller, Tenant, TenantEvent
from freehold.runs.pausing import OnEach, cancel_all, pause_all, unpause_all
from freehold.store.outbox import Idempotency
from freehold.store.platform import Platform
from freehold.store.threads import in_thread
from freehold.tenants import living, provisioning
from freehold.tenants.creating import create
from freehold.tenants.tiers import Terms, terms
from freehold.web.access import Here, IdempotencyKey, InTenant, Operator, TheCaller, TheState
from freehold.web.arriving import nudge
from freehold.web.holding import hold
from freehold.web.limiting import limit as limit_spending
from freehold.web.lists import Cursor, Limit, page
from freehold.web.state import State
from freehold.web.text_keys import give_key
from freehold.web.views import Asked, Listed, Moment

router = APIRouter(tags=["tenants"])
PLACE: Final = "tenants"
DEPLOY: Final = "deploy"
THE_TENANT: Final = "/tenants/{tenant}"

ShortText = Annotated[str, Field(max_length=80)]


class NewTenant(Asked):
    """A tenant to create."""

    slug: str
    name: str = ""
    tier: ShortText = ""
    """Which tier it begins with; none: the one that the settings name."""
    trial: bool = False
    """Whether it is a trial: a tier for some days."""
    time_zone: ShortText = "UTC"
    language: ShortText = "en"
    draft: bool = True
    """Whether it is only set up for now; nothing runs in it before it is deployed."""


class ChangedTenant(Asked):
    """What is to change about a tenant; what is not named stays."""

    name: str | None = None
    time_zone: ShortText | None = None
    language: ShortText | None = None


class TenantView(BaseModel):
    """A tenant."""

    id: str
    slug: str
    name: str
    state: str
    """draft, active, suspended or deleted."""
    created_at: Moment
    tier: str
    tier_until: Moment | None
    """When what was paid for, or tried, ends; none: it does not."""
    tier_source: str
    """operator, trial or billing."""
    time_zone: str
    language: str
    purge_at: Moment | None
    """When a deleted tenant is destroyed; until then it can be restored."""

    @classmethod
    def of(cls, tenant: Tenant) -> "TenantView":
        """Show `tenant`."""
        return cls(**{name: getattr(tenant, name) for name in cls.model_fields})


@router.post("/tenants", status_code=201)
async def create_tenant(caller: Operator, state: TheState, body: NewTenant, key: IdempotencyKey = "") -> TenantView:
    """Create a tenant: a draft to set up, or one that can be worked with at once."""
    tenant = await in_thread(_create, state, caller, body, key)
    if not tenant.public_key:
        with suppress(Unavailable):  # it is made up for as soon as the gateway is back
            await give_key(state, tenant.id)
    with suppress(Unavailable):  # as is this; no version is published before
        await limit_spending(state, tenant.id, by=caller.actor)
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


@router.get(THE_TENANT)
def show_tenant(at: InTenant) -> TenantView:
    """Return one tenant."""
    return TenantView.of(at.tenant)


@router.patch(THE_TENANT)
def change_tenant(at: InTenant, body: ChangedTenant) -> TenantView:
    """Change the tenant's name, time zone or language."""
    changes = {field: value for field, value in body.plain().items() if value is not None}
    with at.state.store.write() as platform:
        changed = living.change(platform, at.tenant.id, changes, by=at.caller.actor, clock=at.state.clock)
    return TenantView.of(changed)


@router.post(f"{THE_TENANT}/deploy")
def deploy_tenant(at: InTenant, key: IdempotencyKey = "") -> TenantView:
    """Make a draft active: from now on its agents run, and its channels take messages in."""
    with at.state.store.write() as platform:
        asked = Idempotency(platform.connection, at.tenant.id)
        if key and asked.made(DEPLOY, key, digest({})) is not None:
            return TenantView.of(platform.tenants.find(at.tenant.id))
        deployed = _live(at.state, platform, at.tenant.id, TenantEvent.DEPLOY, at.caller)
        if key:
            asked.keep(DEPLOY, key, digest({}), at.tenant.id, at=at.state.clock.now())
    return TenantView.of(deployed)


@router.post(f"{THE_TENANT}/suspend")
async def suspend_tenant(at: InTenant) -> TenantView:
    """Stop everything in the tenant and keep it: runs stand still where they are, channels are closed."""
    suspended = await in_thread(_moved, at, TenantEvent.SUSPEND)
    await hold(at.state, at.tenant.id, held=True, by=at.caller.actor)
    await in_thread(pause_all, at.tenancy, at.state.engine, clock=at.state.clock, each=_stop(at.state))
    nudge(at.state)
    return TenantView.of(suspended)


@router.post(f"{THE_TENANT}/resume")
async def resume_tenant(at: InTenant) -> TenantView:
    """Let everything in a suspended tenant go on where it was."""
    with suppress(Unavailable):  # while it is away nothing is spent, and it is told everything once it is back
        await limit_spending(at.state, at.tenant.id, by=at.caller.actor)
    resumed = await in_thread(_moved, at, TenantEvent.RESUME)
    await hold(at.state, at.tenant.id, held=False, by=at.caller.actor)
    await in_thread(unpause_all, at.tenancy, at.state.engine, clock=at.state.clock)
    nudge(at.state)
    return TenantView.of(resumed)


@router.delete(THE_TENANT)
async def delete_tenant(
    at: InTenant,
    confirm: Annotated[str, Query(max_length=80, description="The tenant's slug, typed by whoever means it.")] = "",
) -> TenantView:
    """Delete the tenant: its runs end, its keys open nothing; it is destroyed when its retention time is over."""
    state, by = at.state, at.caller.actor
    deleted = await in_thread(_deleted, at, confirm)
    await hold(state, deleted.id, held=True, by=by)
    await in_thread(cancel_all, at.tenancy, state.engine, by=by, clock=state.clock, each=_stop(state))
    state.streams.end(tenant=deleted.id)
    nudge(state)
    return TenantView.of(deleted)


@router.post(f"{THE_TENANT}/restore")
def restore_tenant(at: InTenant) -> TenantView:
    """Take back that the tenant was deleted: it is suspended then, and its keys stay revoked."""
    with at.state.store.write() as platform:
        restored = living.restore(platform, at.tenant.id, by=at.caller.actor, clock=at.state.clock)
    return TenantView.of(restored)


def _moved(at: Here, event: TenantEvent) -> Tenant:
    with at.state.store.write() as platform:
        return _live(at.state, platform, at.tenant.id, event, at.caller)


def _deleted(at: Here, confirm: str) -> Tenant:
    state = at.state
    with state.store.write() as platform:
        return living.delete(
            platform,
            at.tenant.id,
            confirm=confirm,
            days=state.settings.tenant_retention_days,
            by=at.caller.actor,
            seal=state.seal,
            clock=state.clock,
        )


def _create(state: State, caller: Caller, body: NewTenant, key: str) -> Tenant:
    with state.store.write() as platform:
        asked = Idempotency(platform.connection, "")  # before there is a tenant, requests are the platform's
        place = f"{PLACE}/{caller.actor}"  # what one asked for, nobody else is shown
        made = asked.made(place, key, digest(body.plain())) if key else None
        if made is not None:
            return platform.tenants.find(made)
        owner = provisioning.admit(platform, caller, seal=state.seal)
        tenant = create(
            platform,
            slug=body.slug,
            name=body.name,
            by=caller.actor,
            seal=state.seal,
            ids=state.ids,
            clock=state.clock,
            terms=_terms(state, platform, caller, body),
            time_zone=body.time_zone,
            language=body.language,
            owner="" if owner is None else owner.id,
        )
        if owner is not None:
            provisioning.own(platform, tenant, owner, seal=state.seal, ids=state.ids, clock=state.clock)
        if not body.draft:
            tenant = _live(state, platform, tenant.id, TenantEvent.DEPLOY, caller)
        if key:
            asked.keep(place, key, digest(body.plain()), tenant.id, at=state.clock.now())
        return tenant


def _terms(state: State, platform: Platform, caller: Caller, body: NewTenant) -> Terms:
    if body.tier and not caller.may("tiers:write"):
        raise Denied(
            "Which tier a new tenant has is not yours to say.",
            code="missing_scope",
            remedy="Leave the tier out, or ask an operator to give another one afterwards.",
        )
    if body.tier and body.trial:
        raise Invalid(
            "A trial has a tier of its own.", code="trial_has_tier", remedy="Leave the tier out, or make it no trial."
        )
    default = body.tier or state.settings.default_tier
    return terms(platform, default=default, on_trial=body.trial, at=state.clock.now())


def _live(state: State, platform: Platform, tenant: str, event: TenantEvent, caller: Caller) -> Tenant:
    return living.live(platform, tenant, event, by=caller.actor, clock=state.clock)


def _stop(state: State) -> OnEach:
    """Return what tells the workers to stop a run at once."""
    return lambda run: state.worker.send({"cancel": run})
