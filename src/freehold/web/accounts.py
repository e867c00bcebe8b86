"""Accounts: what the operator charges a tenant, what it paid in advance, and where its models may be."""

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from freehold.core.errors import Invalid
from freehold.web.access import IdempotencyKey, InTenant
from freehold.web.budgets import MOST
from freehold.web.views import Asked

router = APIRouter(tags=["accounts"])

REGION: Final = r"^[a-z][a-z0-9-]{0,31}$"


class AccountChange(Asked):
    """What shall be other; what is not said stays."""

    markup_ppm: int | None = Field(default=None, ge=0, le=100_000_000, strict=True)
    """On what the platform's connections cost, in millionths: 200,000 is 20 %."""
    prepaid: bool | None = None
    """Whether it can only spend what was paid in advance; taking that back forgets what is left of its credit."""


class NewCredit(Asked):
    """Money that was paid."""

    nano: int = Field(ge=-MOST, le=MOST, strict=True)
    """Nano-USD; less than nothing takes back."""
    reference: str = Field(default="", max_length=200)
    """By what it was paid, such as the number of an invoice; what was added under one is not added again."""


class NewRegions(Asked):
    """Where models may be."""

    regions: list[Annotated[str, Field(pattern=REGION)]] = Field(max_length=20)
    """Such as `eu`; a connection elsewhere, or one that does not say where it is, is refused. None: anywhere."""


class AccountView(BaseModel):
    """A tenant's account."""

    markup_ppm: int
    prepaid: bool
    credit_nano: int | None
    """All that was ever paid in advance; null where the tenant is not prepaid."""
    credit_spent_nano: int
    credit_left_nano: int | None
    regions: list[str]
    """Where models may be; none: anywhere."""

    @classmethod
    def of(cls, told: dict[str, Any]) -> "AccountView":
        """Show an account as the gateway tells it."""
        paid, spent = told["credit_nano"], told["credit_spent_nano"]
        return cls(
            markup_ppm=told["markup_ppm"],
            prepaid=paid is not None,
            credit_nano=paid,
            credit_spent_nano=spent,
            credit_left_nano=None if paid is None else max(0, paid - spent),
            regions=sorted(told["regions"]),
        )


@router.get("/tenants/{tenant}/account")
async def show_account(at: InTenant) -> AccountView:
    """Return how the tenant is charged, what it has paid in advance, and where its models may be."""
    return AccountView.of(await at.state.gateway.account(at.tenant.id))


@router.put("/tenants/{tenant}/account")
async def change_account(at: InTenant, body: AccountChange) -> AccountView:
    """Change the mark-up, or whether the tenant is prepaid; holds for calls that begin from then on."""
    changes = {name: value for name, value in body.plain().items() if value is not None}
    if not changes:
        raise Invalid("This changes nothing.", code="nothing_to_change", remedy="Say markup_ppm or prepaid.")
    return AccountView.of(await at.state.gateway.set_account(at.tenant.id, **changes, by=at.caller.actor))


@router.post("/tenants/{tenant}/account/credit")
async def add_credit(at: InTenant, body: NewCredit, key: IdempotencyKey = "") -> AccountView:
    """Add to what the tenant paid in advance; it is prepaid from then on. An Idempotency-Key is a reference too."""
    # The gateway remembers references in the transaction that adds, so nothing is added twice whatever dies meanwhile.
    by, reference = at.caller.actor, body.reference or key
    return AccountView.of(await at.state.gateway.add_credit(at.tenant.id, body.nano, by=by, reference=reference))


@router.put("/tenants/{tenant}/regions")
async def set_regions(at: InTenant, body: NewRegions) -> AccountView:
    """Let the tenant's calls go only to models in these regions: what is elsewhere is refused, not warned about."""
    regions = sorted(set(body.regions))
    return AccountView.of(await at.state.gateway.set_account(at.tenant.id, regions=regions, by=at.caller.actor))
