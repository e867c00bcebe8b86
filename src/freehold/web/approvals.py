"""Approvals: questions of runs to people, each bound to exact bytes, each decided once."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from freehold.core.approvals import Approval, ApprovalState
from freehold.core.errors import BadTransition, Conflict
from freehold.runs.deciding import decide
from freehold.store.scope import Tenancy
from freehold.store.threads import in_thread
from freehold.web.access import Here, InTenant
from freehold.web.arriving import nudge
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
    return ApprovalView.of(_get(at.tenancy, approval))


@router.post("/{approval}/approve")
async def approve(at: InTenant, approval: ApprovalId, body: Decision) -> ApprovalView:
    """Let the run do exactly what was shown, once."""
    return await _decide(at, approval, body.hash, approve=True)


@router.post("/{approval}/deny")
async def deny(at: InTenant, approval: ApprovalId, body: Decision) -> ApprovalView:
    """Do not let the run do it; it goes on and is told so."""
    return await _decide(at, approval, body.hash, approve=False)


async def _decide(at: Here, approval: str, shown: str, *, approve: bool) -> ApprovalView:
    """
    Decide at the gateway first, which alone can let the effect happen, then in the database.

    If we die in between, the gateway has decided and our row has not: the next decision finds it so and writes
    the row. The gateway's decision stands whatever the row says then.
    """
    found = await in_thread(_get, at.tenancy, approval)
    if found.state is not ApprovalState.ASKED:
        raise BadTransition("approval", found.state, "be decided again")
    if found.hash != shown:
        raise Conflict(
            "What you decide about is not what stands there now.",
            code="stale_hash",
            remedy="Look at the approval again and decide with the hash it shows.",
        )
    try:
        await at.state.gateway.decide(
            tenant=at.tenant.id, key=found.key, hash=shown, approve=approve, by=at.caller.actor
        )
    except Conflict as error:
        if error.code != "already_decided":
            raise
    return ApprovalView.of(await in_thread(_write, at, approval, shown, approve=approve))


def _write(at: Here, approval: str, shown: str, *, approve: bool) -> Approval:
    with at.tenancy.write() as scope:
        decided = decide(
            scope,
            at.state.engine,
            approval=approval,
            approve=approve,
            hash=shown,
            by=at.caller.actor,
            clock=at.state.clock,
        )
    nudge(at.state)
    return decided


def _get(tenancy: Tenancy, approval: str) -> Approval:
    with tenancy.read() as scope:
        return scope.approvals.get(approval)
