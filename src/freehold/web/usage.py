"""Usage: what was called, how much it was, and what it cost in nano-USD."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from freehold.web.access import InTenant, Operator, TheState
from freehold.web.views import told_moment

router = APIRouter(tags=["usage"])

RunFilter = Annotated[str | None, Query(max_length=80, description="Only of this run.")]


class UsageView(BaseModel):
    """Usage of a tenant, or of all."""

    rows: list[dict[str, Any]]
    """Newest first, at most 1,000."""
    kinds: dict[str, dict[str, int]]
    """Sums by kind: model, sandbox, mail, webhook."""
    total: dict[str, int]


@router.get("/tenants/{tenant}/usage")
async def show_usage(at: InTenant, run: RunFilter = None) -> UsageView:
    """Return what the tenant used."""
    return _view(await at.state.gateway.usage(at.tenant.id, run=run))


@router.get("/usage")
async def show_platform_usage(caller: Operator, state: TheState, run: RunFilter = None) -> UsageView:
    """Return what all tenants used."""
    return _view(await state.gateway.usage(None, run=run))


def _view(told: dict[str, Any]) -> UsageView:
    times = ("opened_at", "closed_at")
    rows = [row | {name: told_moment(row[name]) for name in times if name in row} for row in told["rows"]]
    return UsageView(rows=rows, kinds=told["kinds"], total=told["total"])
