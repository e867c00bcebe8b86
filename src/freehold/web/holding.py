"""
Tenants that are not active, and runs that were cancelled, held at the gateway too.

A suspended tenant's runs are stopped by its rows, which workers read. A worker that has not looked yet, or does not
look, is stopped by the gateway: it is told before the call returns. What could not be told it is made up for.
"""

import logging
from collections.abc import Sequence
from typing import Final

from freehold.core.errors import Unavailable
from freehold.store.threads import in_thread
from freehold.web.state import State

log = logging.getLogger(__name__)

AT_ONCE: Final = 500
"""Runs that the gateway is told of in one question."""
BY_ITSELF: Final = "platform"


async def hold(state: State, tenant: str, *, held: bool, by: str) -> None:
    """Tell the gateway that a tenant is active no longer, or again; one that is away is told once it is back."""
    try:
        await state.gateway.hold(tenant, held=held, by=by)
    except Unavailable as error:
        log.warning("The gateway could not be told of %s, and is told later: %s", tenant, error.message)


async def retire(state: State, tenant: str, runs: Sequence[str]) -> None:
    """
    Let the gateway carry out nothing more for runs that were cancelled, though their worker has not looked yet.

    One that is away carries out nothing now, and workers have looked before it is back.
    """
    try:
        for start in range(0, len(runs), AT_ONCE):
            await state.gateway.retire(tenant, runs[start : start + AT_ONCE])
    except Unavailable as error:
        log.warning("The gateway could not be told what was cancelled: %s", error.message)


async def hold_all(state: State, *, known: set[str] | None = None) -> None:
    """Bring the gateway to hold just the tenants that stand still; `known` are those it holds, if that is known."""
    known = set(await state.gateway.held()) if known is None else known
    still = await in_thread(_standing, state)
    for tenant in sorted(known ^ still):
        # Looked at once more: it may have moved on since.
        now = await in_thread(_moving, state, tenant)
        if now == (tenant in known):
            await state.gateway.hold(tenant, held=not now, by=BY_ITSELF)


def _standing(state: State) -> set[str]:
    with state.store.read() as platform:
        return platform.standing_still()


def _moving(state: State, tenant: str) -> bool:
    with state.store.read() as platform:
        return platform.moving(tenant)
