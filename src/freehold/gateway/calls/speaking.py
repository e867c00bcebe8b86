"""
Who speaks by a box: the run that its sandbox was woken for, and what its version was granted.

What a version may never changes and is read once. Whether the run is still its worker's is looked at in the transaction
that writes a call down, where it is also seen whether its tenant may have effects.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, select

from freehold.core.effects import MODELS, SANDBOX, Verdict
from freehold.core.errors import Conflict, Denied, FreeholdError
from freehold.core.money import Level
from freehold.gateway import versions
from freehold.gateway.asgi import App, Receive, Scope, Send
from freehold.gateway.calls.refusing import refuse
from freehold.gateway.formats import Api, Caller, Whom
from freehold.gateway.grants import Grants, judge
from freehold.gateway.requests import BoxRequest
from freehold.gateway.tables import epochs

_EPOCH: Final = select(epochs.c.epoch).where(
    epochs.c.tenant == bindparam("of_tenant"), epochs.c.run == bindparam("of_run")
)

Serve = Callable[[Caller], App]
"""Returns what answers a caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """In whose name a box speaks, and what that name may do."""

    whom: Whom
    epoch: int
    grants: Grants

    def caller(self) -> Caller:
        """Return who calls by the box."""
        return Caller(whom=self.whom, models=frozenset({self.grants.model, *Level}), still=self.require)

    @property
    def refused(self) -> FreeholdError | None:
        """What keeps it from calling models for good, if its version was not granted that."""
        verdict = judge(self.grants, connection=SANDBOX, operation=MODELS)
        return None if verdict is Verdict.ALLOW else _not_granted(verdict)

    def require(self, tx: Tx) -> None:
        """Raise what keeps a call from being made now."""
        _require_epoch(tx, self.whom.tenant, self.whom.run, self.epoch)


def refusing(error: FreeholdError) -> App:
    """Return what answers everything with `error`, in the shape that a caller's API knows."""

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        api = Api.MESSAGES if str(scope["path"]).startswith("/v1/messages") else Api.CHAT
        await refuse(send, api, error)

    return answer


def models_of(speaker: Speaker, serve: Serve) -> App:
    """Return what answers calls of models; versions never change, so what one may not, it never may."""
    return serve(speaker.caller()) if speaker.refused is None else refusing(speaker.refused)


def speaker(tx: Tx, request: BoxRequest) -> Speaker:
    """Return who speaks by the box that a worker asks for; raise what keeps it from having one."""
    granted = versions.granted(tx, tenant=request.tenant, agent=request.agent, version=request.version)
    _require_epoch(tx, request.tenant, request.run, request.epoch)
    whom = Whom(
        tenant=request.tenant, agent=request.agent, version=request.version, run=request.run, trace=request.trace
    )
    return Speaker(whom=whom, epoch=request.epoch, grants=granted)


def _require_epoch(tx: Tx, tenant: str, run: str, epoch: int) -> None:
    seen = tx.execute(_EPOCH, {"of_tenant": tenant, "of_run": run}).scalar()
    if seen is not None and seen > epoch:
        raise Conflict(
            "The run is over, or another worker has taken it over.",
            code="stale_epoch",
            remedy="Stop working in this sandbox.",
        )


def _not_granted(verdict: Verdict) -> Denied:
    if verdict is Verdict.ASK:
        return Denied(
            "Nobody can be asked about a call that a program makes.",
            code="not_granted",
            remedy=f"Grant the agent the tool {MODELS} as allow, and limit what it may spend with a budget.",
        )
    return Denied(
        "This agent's programs may not call models.",
        code="not_granted",
        remedy=f"Grant the agent the tool: --tool {MODELS}=allow",
    )
