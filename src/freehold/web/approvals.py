"""Approvals: questions of runs to people, each bound to exact bytes, each decided once."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from freehold.core.approvals import ApprovalState
from freehold.web.access import Here, InTenant
from freehold.web.deciding import approval_of, decide_about
from freehold.web.views import ApprovalView, Asked, Listed

router = APIRouter(prefix="/tenants/{tenant}/approvals", tags=["approvals"])

ApprovalId = Annotated[str, Path(description="Id of the approval.", max_length=80)]


class Decision(Asked):
    """What is decided about."""

    hash: str = Field(min_length=64, max_length=64, pattern="^[0-9a-f]{64}$")
    """The `hash` of the approval that was looked at."""


@router.get("")
def list_approvals(
    at: InTenant, state: Annotated[ApprovalState | None, Query(description="Only in this state.")] = None
) -> Listed[ApprovalView]:
    """Return the tenant's approvals, oldest first."""
    with at.tenancy.read() as scope:
        return Listed(items=[ApprovalView.of(approval) for approval in scope.approvals.all(state=state)])


@router.get("/{approval}")
def show_approval(at: InTenant, approval: ApprovalId) -> ApprovalView:
    """Return one approval: what is asked, and the hash that a decision must name."""
    return ApprovalView.of(approval_of(at.tenancy, approval))


@router.post("/{approval}/approve")
async def approve(at: InTenant, approval: ApprovalId, body: Decision) -> ApprovalView:
    """Let the run do exactly what was shown, once."""
    return await _decide(at, approval, body.hash, approve=True)


@router.post("/{approval}/deny")
async def deny(at: InTenant, approval: ApprovalId, body: Decision) -> ApprovalView:
    """Do not let the run do it; it goes on and is told so."""
    return await _decide(at, approval, body.hash, approve=False)


async def _decide(at: Here, approval: str, shown: str, *, approve: bool) -> ApprovalView:
    return ApprovalView.of(await decide_about(at.state, at.tenancy, at.caller, approval, shown=shown, approve=approve))
