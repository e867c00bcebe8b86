"""The end of deleted tenants, and what is left of them: receipts."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from freehold.store.life import Receipt, Receipts
from freehold.tenants.living import confirmed
from freehold.tenants.purging import begin
from freehold.web.access import InTenant, Operator, TheState
from freehold.web.lists import Cursor, Limit, page
from freehold.web.views import Asked, Listed, Moment

router = APIRouter(tags=["tenants"])


class Confirmed(Asked):
    """That the destruction is meant."""

    confirm: str = ""
    """The tenant's slug, typed by whoever means it."""


class ReceiptView(BaseModel):
    """What became of a tenant that was deleted; each moment is there once that much of it is destroyed."""

    tenant: str
    slug: str
    created_at: Moment
    deleted_at: Moment
    deleted_by: str
    begun_at: Moment | None
    """When its destruction began; from then on nothing brings it back."""
    begun_by: str
    key_destroyed_at: Moment | None
    folders_gone_at: Moment | None
    purged_at: Moment | None
    """When nothing was left but this, the record's hashes, and what was used."""
    workspaces: int
    files: int
    bytes: int
    """Of the files, without workspaces."""
    erased: dict[str, int]
    """Rows that the gateway destroyed, by table."""
    rows: dict[str, int]
    """Rows of the database that were destroyed, by table."""
    head: str
    """Number and hash of the last link of the tenant's chain."""

    @classmethod
    def of(cls, receipt: Receipt) -> "ReceiptView":
        """Show `receipt`."""
        told: dict[str, Any] = {name: getattr(receipt, name) for name in cls.model_fields}
        return cls(**told)


@router.post("/tenants/{tenant}/purge", status_code=202)
def purge_tenant(at: InTenant, body: Confirmed) -> ReceiptView:
    """Begin to destroy a deleted tenant whose retention time is over; its receipt shows how far that is."""
    confirmed(at.tenant, body.confirm)
    with at.state.store.write() as platform:
        return ReceiptView.of(begin(platform, at.tenant.id, by=at.caller.actor, clock=at.state.clock))


@router.get("/receipts")
def list_receipts(caller: Operator, state: TheState, limit: Limit = 100, cursor: Cursor = "") -> Listed[ReceiptView]:
    """Return what became of deleted tenants."""
    with state.store.read() as platform:
        found = Receipts(platform.connection).page(after=cursor, limit=limit + 1)
    return page(found, limit, show=ReceiptView.of, key=lambda receipt: receipt.tenant)
