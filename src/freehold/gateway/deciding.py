"""What people and workers say about effects afterwards: decisions, settlements, sandboxes' hours."""

from sqlalchemy import Connection as Tx
from sqlalchemy import update

from freehold.core.effects import SANDBOX, EffectState
from freehold.core.errors import Invalid
from freehold.gateway import ledger, steps
from freehold.gateway.asked import Whom
from freehold.gateway.keeping import Keep
from freehold.gateway.money import meter
from freehold.gateway.requests import DecideRequest, JournaledRequest, SandboxUsageRequest, SettleRequest
from freehold.gateway.steps import Shown
from freehold.gateway.tables import Decision, effects

REFUSED = {"code": "refused", "message": "A person said no.", "remedy": "Do without it, or ask for something else."}
NOT_REPEATED = {
    "code": "not_repeated",
    "message": "It may have happened, or it may not; a person decided that it is not done again.",
    "remedy": "Do not repeat it.",
}


def decide(tx: Tx, keep: Keep, request: DecideRequest, *, under_way: bool = False) -> None:
    """
    Write down what a person decided about an effect that was asked about, or whose outcome is unknown.

    An approved effect is carried out when its run asks for it again, once; a refused one never. One that is
    `under_way` cannot be decided about.
    """
    standing = ledger.must_look(tx, keep, tenant=request.tenant, key=request.key)
    shown = Shown(hash=request.hash, kind=request.kind, attempts=request.attempts)
    steps.decide(standing, shown, at=keep.now(), under_way=under_way)
    decision = Decision.APPROVED if request.approve else Decision.REFUSED
    which = effects.c.tenant == request.tenant, effects.c.key == request.key
    values = {"decision": decision, "decided_by": request.by, "decided_at": keep.now()}
    tx.execute(update(effects).where(*which).values(values))
    if request.approve:
        keep.note(
            tx,
            request.tenant,
            actor=request.by,
            action="effect.approved",
            subject=request.key,
            run=ledger.run_of(request.key),
            approver=request.by,
            arguments=request.hash,
            detail={"attempts": standing.attempts} if standing.attempts else {},
        )
        return
    asked = standing.state is EffectState.ASKED
    ledger.close(
        tx,
        keep,
        tenant=request.tenant,
        key=request.key,
        state=EffectState.REFUSED if asked else EffectState.FAILED,
        outcome={"error": REFUSED if asked else NOT_REPEATED},
        actor=request.by,
        detail={"hash": request.hash},
        approver=request.by,
    )


def settle(tx: Tx, keep: Keep, request: SettleRequest) -> None:
    """Write down what became of an effect that the worker carried out."""
    ledger.take_epoch(tx, tenant=request.tenant, run=request.run, epoch=request.epoch)
    standing = ledger.must_look(tx, keep, tenant=request.tenant, key=request.key)
    if standing.connection != SANDBOX or request.state not in set(EffectState):
        raise Invalid("Only the outcome of a sandbox's effect can be settled.", code="not_settled_here")
    state = EffectState(request.state)
    if not steps.settled(standing, state):
        return
    outcome = {"result": request.result, "error": request.error}
    ledger.close(
        tx,
        keep,
        tenant=request.tenant,
        key=request.key,
        state=state,
        outcome={name: value for name, value in outcome.items() if value is not None},
        actor=f"run:{request.run}",
    )


def journaled(tx: Tx, keep: Keep, request: JournaledRequest) -> None:
    """Drop what was kept for repeats of runs that are over."""
    for tenant, run in request.runs:
        ledger.over(tx, tenant=tenant, run=run)


def sandbox_usage(tx: Tx, keep: Keep, request: SandboxUsageRequest) -> None:
    """Write down how long a sandbox was awake."""
    whom = Whom(tenant=request.tenant, agent=request.agent, version=request.version, run=request.run)
    counts = {"wakes": request.wakes, "awake_ms": request.awake_ms, "memory_mb": request.memory_mb}
    meter.sandbox(tx, keep, whom, sandbox=request.sandbox, **counts)
