"""Deciding about an approval, whichever way a person does it: by the API or on its page."""

from typing import Any, Final

from freehold.audit.canonical import digest
from freehold.core.approvals import Approval, ApprovalState
from freehold.core.effects import BUDGET
from freehold.core.errors import BadTransition, Conflict, Denied
from freehold.core.tenants import Caller
from freehold.runs.deciding import decide
from freehold.store.scope import Tenancy
from freehold.store.threads import in_thread
from freehold.web.arriving import nudge
from freehold.web.state import State

BUDGETS: Final = "budgets:write"


def bound(approval: Approval) -> dict[str, Any]:
    """Return what the approval's hash is of: all of it is shown to whoever decides."""
    return {"connection": approval.connection, "operation": approval.operation, "arguments": approval.arguments}


def is_whole(approval: Approval) -> bool:
    """
    Return whether the hash is that of what is shown, and the effect is one of the run that is shown.

    Workers write these rows. One that was taken over could show something harmless above the hash of what it wants.
    """
    shown = approval.again is (approval.attempts > 0)
    return shown and digest(bound(approval)) == approval.hash and approval.key.startswith(f"{approval.run}/")


async def decide_about(
    state: State, tenancy: Tenancy, caller: Caller, approval: str, *, shown: str, approve: bool
) -> Approval:
    """
    Decide at the gateway first, which alone can let the effect happen, then in the database.

    If we die in between, the gateway has decided and our row has not: the next decision finds it so and writes
    the row. The gateway's decision stands whatever the row says then. Raises `Conflict` (`stale_hash`, `altered`),
    `BadTransition`, and `Denied` (`missing_scope`) for leave to spend more by somebody who may set no budgets.
    """
    found = await in_thread(approval_of, tenancy, approval)
    _check(found, shown)
    if approve and not may_approve(caller, tenancy.tenant, found):
        raise Denied(
            f"Letting a run go on past a budget needs the scope {BUDGETS}.",
            code="missing_scope",
            remedy="Ask an owner or admin of the tenant to decide; denying it needs no more than you have.",
        )
    try:
        await state.gateway.decide(
            tenant=tenancy.tenant,
            key=found.key,
            hash=shown,
            approve=approve,
            by=caller.actor,
            kind=found.kind,
            attempts=found.attempts,
        )
    except Conflict as error:
        if error.code != "already_decided":
            raise
    return await in_thread(_write, state, tenancy, caller, approval, shown=shown, approve=approve)


def may_approve(caller: Caller, tenant: str, approval: Approval) -> bool:
    """Return whether the caller, who may decide about approvals here, may approve this one."""
    return approval.connection != BUDGET or caller.may(BUDGETS, tenant)


def approval_of(tenancy: Tenancy, approval: str) -> Approval:
    """Return one approval as it stands; raise `NotFound` where there is none."""
    with tenancy.read() as scope:
        return scope.approvals.get(approval)


def _check(found: Approval, shown: str) -> None:
    if found.state is not ApprovalState.ASKED:
        raise BadTransition("approval", found.state, "be decided again")
    if found.hash != shown:
        raise Conflict(
            "What you decide about is not what stands there now.",
            code="stale_hash",
            remedy="Look at the approval again and decide with the hash it shows.",
        )
    if not is_whole(found):
        raise Conflict(
            "What is shown is not what the hash is of: somebody changed the row.",
            code="altered",
            remedy="Decide nothing; cancel the run and tell the operator, since only a worker can have written this.",
        )


def _write(state: State, tenancy: Tenancy, caller: Caller, approval: str, *, shown: str, approve: bool) -> Approval:
    with tenancy.write() as scope:
        decided = decide(
            scope,
            state.engine,
            approval=approval,
            approve=approve,
            hash=shown,
            by=caller.actor,
            clock=state.clock,
        )
    nudge(state)
    return decided
