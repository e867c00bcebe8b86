"""
Who speaks by a box: the run that its sandbox was woken for, while it may make model calls.

What a version may never changes and is read once; whether the run is still its worker's, the tenant active and effects
not paused is looked at before every call.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, select

from freehold.audit.asking import NOBODY, asking
from freehold.core.effects import MODELS, SANDBOX, Verdict
from freehold.core.errors import Conflict, Denied, FreeholdError
from freehold.core.money import Level
from freehold.gateway import switches, versions
from freehold.gateway.calls.ports import Api, Whom
from freehold.gateway.calls.refusing import refusal
from freehold.gateway.grants import judge
from freehold.gateway.keeping import Keep
from freehold.gateway.requests import BoxRequest
from freehold.gateway.tables import epochs

_EPOCH: Final = select(epochs.c.epoch).where(
    epochs.c.tenant == bindparam("of_tenant"), epochs.c.run == bindparam("of_run")
)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Serve = Callable[[Whom, frozenset[str]], App]
"""Returns what answers calls in a name, for the models it may call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """In whose name a box speaks, and what that name may do."""

    whom: Whom
    epoch: int
    verdict: Verdict
    models: frozenset[str]

    def require(self, tx: Tx) -> None:
        """Raise what keeps a call from being made now."""
        if self.verdict is not Verdict.ALLOW:
            raise _not_granted(self.verdict)
        switches.require_effects(tx, self.whom.tenant)
        _require_epoch(tx, self.whom.tenant, self.whom.run, self.epoch)


@final
class Answering:
    """Lets calls through to what answers them while their run may make them."""

    def __init__(self, keep: Keep, speaker: Speaker, app: App) -> None:
        self._keep, self._speaker, self._app = keep, speaker, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asking.set(NOBODY)
        try:
            await self._keep.read(self._speaker.require)
        except FreeholdError as error:
            api = Api.MESSAGES if str(scope["path"]).startswith("/v1/messages") else Api.CHAT
            status, headers, body = refusal(api, error)
            headers.append((b"content-length", str(len(body)).encode()))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await self._app(scope, receive, send)


def speaker(tx: Tx, request: BoxRequest) -> Speaker:
    granted = versions.granted(tx, tenant=request.tenant, agent=request.agent, version=request.version)
    _require_epoch(tx, request.tenant, request.run, request.epoch)
    whom = Whom(
        tenant=request.tenant, agent=request.agent, version=request.version, run=request.run, trace=request.trace
    )
    verdict = judge(granted, connection=SANDBOX, operation=MODELS)
    return Speaker(whom=whom, epoch=request.epoch, verdict=verdict, models=frozenset({granted.model, *Level}))


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
