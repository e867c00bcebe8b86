"""Kill switches, of one tenant and of the whole platform: in force when the call returns."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from freehold.audit.database import note
from freehold.core.tenants import Caller
from freehold.runs.cancelling import family
from freehold.runs.pausing import cancel_all, wake_all
from freehold.store.threads import in_thread
from freehold.tenants.switches import Revoked, revoke_access
from freehold.web.access import InTenant, Operator, TheState
from freehold.web.arriving import nudge
from freehold.web.holding import retire
from freehold.web.state import State
from freehold.web.views import Asked, Moment, told_moment

router = APIRouter(tags=["switches"])
TENANTS = "/tenants/{tenant}/switches"


class KeepMine(Asked):
    """What is to be left."""

    keep_mine: bool = False
    """Whether the session or key by which this is asked stays in force."""


class EffectsView(BaseModel):
    """Whether effects are paused."""

    paused: bool
    since: Moment | None
    by: str


class SwitchesView(BaseModel):
    """How the kill switches stand."""

    effects: EffectsView
    """Of this tenant, or of the whole platform."""
    platform_effects: EffectsView
    """Of the whole platform, which holds for every tenant too."""
    in_flight: int
    """Effects and model calls under way: they began before, and finish."""

    @classmethod
    def of(cls, told: dict[str, Any]) -> "SwitchesView":
        """Show what the gateway told."""
        here, platform = (EffectsView(**one | {"since": told_moment(one["since"])}) for one in _both(told))
        return cls(effects=here, platform_effects=platform, in_flight=told["in_flight"])


class CancelledView(BaseModel):
    """What was cancelled."""

    cancelled: int
    """Runs, with those they delegated."""


class RevokedView(BaseModel):
    """What was put out of force."""

    sessions: int
    keys: int


@router.get(TENANTS)
async def show_switches(at: InTenant) -> SwitchesView:
    """Return how the tenant's switches stand."""
    return SwitchesView.of(await at.state.gateway.switches(at.tenant.id))


@router.post(f"{TENANTS}/pause-effects")
async def pause_effects(at: InTenant) -> SwitchesView:
    """Let no effect and no model call of the tenant begin; its runs wait."""
    return await _effects(at.state, at.tenant.id, at.caller, paused=True)


@router.post(f"{TENANTS}/resume-effects")
async def resume_effects(at: InTenant) -> SwitchesView:
    """Let the tenant's effects begin again; runs that waited for it go on."""
    return await _effects(at.state, at.tenant.id, at.caller, paused=False)


@router.post(f"{TENANTS}/cancel-runs")
async def cancel_runs(at: InTenant) -> CancelledView:
    """Cancel every run of the tenant that is not over."""
    return await _cancel(at.state, [at.tenant.id], at.caller, told=at.tenant.id)


@router.post(f"{TENANTS}/revoke-access")
def revoke_tenants_access(at: InTenant, body: KeepMine | None = None) -> RevokedView:
    """End all sessions of the tenant's members, wherever they are signed in, and revoke its keys."""
    return _revoke(at.state, at.tenant.id, at.caller, body)


@router.get("/switches")
async def show_all_switches(caller: Operator, state: TheState) -> SwitchesView:
    """Return how the platform's switches stand."""
    return SwitchesView.of(await state.gateway.switches(None))


@router.post("/switches/pause-effects")
async def pause_all_effects(caller: Operator, state: TheState) -> SwitchesView:
    """Let no effect and no model call of any tenant begin; runs wait. Mail that people sign in with still leaves."""
    return await _effects(state, None, caller, paused=True)


@router.post("/switches/resume-effects")
async def resume_all_effects(caller: Operator, state: TheState) -> SwitchesView:
    """Let effects begin again, but those of tenants that are paused themselves."""
    return await _effects(state, None, caller, paused=False)


@router.post("/switches/cancel-runs")
async def cancel_all_runs(caller: Operator, state: TheState) -> CancelledView:
    """Cancel every run that is not over, of all tenants."""
    return await _cancel(state, await in_thread(_busy, state), caller, told=None)


@router.post("/switches/revoke-access")
def revoke_all_access(caller: Operator, state: TheState, body: KeepMine | None = None) -> RevokedView:
    """End all sessions of everybody, and revoke all keys; the operator's own key is in no database and stays."""
    return _revoke(state, None, caller, body)


async def _effects(state: State, tenant: str | None, caller: Caller, *, paused: bool) -> SwitchesView:
    shown = await state.gateway.pause_effects(tenant, paused=paused, by=caller.actor)
    if not paused:
        await in_thread(wake_all, state.store, state.engine, tenant, clock=state.clock)
        nudge(state)
    return SwitchesView.of(shown)


async def _cancel(state: State, tenants: Iterable[str], caller: Caller, *, told: str | None) -> CancelledView:
    cancelled = 0
    for tenant in tenants:
        runs = await in_thread(_cancel_of, state, tenant, caller)
        await retire(state, tenant, runs)
        cancelled += len(runs)
    await in_thread(_note_cancelled, state, caller, told, cancelled)
    nudge(state)
    return CancelledView(cancelled=cancelled)


def _busy(state: State) -> list[str]:
    with state.store.read() as platform:
        return platform.busy_tenants()


def _cancel_of(state: State, tenant: str, caller: Caller) -> list[str]:
    """Cancel the tenant's runs and return which those were, with all they delegated."""
    tenancy, runs = state.store.tenant(tenant), list[str]()
    cancel_all(tenancy, state.engine, by=caller.actor, clock=state.clock, each=runs.append)
    with tenancy.read() as scope:
        whole = family(scope, runs)
    for run in whole:
        state.worker.send({"cancel": run})
    return whole


def _note_cancelled(state: State, caller: Caller, told: str | None, cancelled: int) -> None:
    with state.store.write() as platform:
        note(
            platform.connection,
            at=state.clock.now(),
            tenant=told,
            actor=caller.actor,
            action="runs.cancel",
            subject=told or "platform",
            detail={"runs": cancelled},
        )


def _revoke(state: State, tenant: str | None, caller: Caller, body: KeepMine | None) -> RevokedView:
    keep_mine = body is not None and body.keep_mine
    with state.store.write() as platform:
        revoked: Revoked = revoke_access(
            platform, tenant, caller=caller, keep_mine=keep_mine, seal=state.seal, clock=state.clock
        )
    state.streams.end(sessions=revoked.sessions)
    state.streams.end(keys=revoked.keys)
    if tenant is not None:
        state.streams.end(tenant=tenant)
    return RevokedView(sessions=len(revoked.sessions), keys=len(revoked.keys))


def _both(told: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return told["here"], told["platform"]
