"""
What tenants may spend as their tiers say, told to the gateway, which is where money is spent.

Who is to have less is held to it before the change is written down, who is to have more after: so nobody ever spends
more than the tier says that they have. While the gateway is away nobody spends anything and nobody can be given less;
once another process of it answers, with a store that may be an older one, it is told everything.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, final

from typing_extensions import override

from freehold.agents.publishing import Publisher
from freehold.core.errors import FreeholdError
from freehold.core.money import NANO, nano
from freehold.core.tools import Told
from freehold.store.platform import Platform
from freehold.store.threads import in_thread
from freehold.tenants.quotas import spending
from freehold.web.state import State

log = logging.getLogger(__name__)
T = TypeVar("T")

AT_ONCE: Final = 500
"""Tenants that the gateway is told of in one question."""
MOST_USD: Final = 1e9
"""A limit from here on is none."""
MOST: Final = 9_000_000 * NANO
"""Nano-USD of any other: what JSON's numbers hold exactly."""
BY_ITSELF: Final = "platform"
Limits = Mapping[str, int | None]


async def changed(state: State, change: Callable[[Platform], T], *, by: str) -> T:
    """Make a change to tiers, or to who has which, with the gateway knowing in time, and return what it returns."""
    before, after = await in_thread(_foreseen, state, change)
    less = {tenant: limit for tenant, limit in after.items() if tenant in before and _less(limit, before[tenant])}
    await tell(state, less, by=by)
    try:
        done = await in_thread(_write, state, change)
    except BaseException:
        await _try_to_tell(state, {tenant: before[tenant] for tenant in less}, by=by)
        raise
    rest = {tenant: limit for tenant, limit in after.items() if tenant not in less and limit != before.get(tenant)}
    await _try_to_tell(state, rest, by=by)
    return done


async def limit(state: State, tenant: str, *, by: str) -> None:
    """Tell what one tenant may spend; raise `Unavailable` if the gateway is away."""
    await tell(state, await in_thread(_wanted, state, tenant), by=by)


async def limit_all(state: State) -> None:
    """Bring the gateway to hold every tenant to its tier, and tell it no more than that takes."""
    known, wanted = await state.gateway.limits(), await in_thread(_wanted, state)
    await tell(state, {one: nano for one, nano in wanted.items() if known.get(one) != nano}, by=BY_ITSELF)


async def tell(state: State, limits: Limits, *, by: str) -> None:
    """Tell the gateway some limits."""
    tenants = sorted(limits)
    for start in range(0, len(tenants), AT_ONCE):
        some = {tenant: limits[tenant] for tenant in tenants[start : start + AT_ONCE]}
        await state.gateway.limit(some, by=by)


@final
class Limited(Publisher):
    """Publishes versions once the gateway knows what their tenant may spend: no model is called before."""

    def __init__(self, state: State) -> None:
        """Publish through the gateway of `state`."""
        self._state = state

    @override
    async def tools_of(self, tenant: str, connections: Sequence[str]) -> Mapping[str, Mapping[str, Told]]:
        return await self._state.gateway.tools_of(tenant, connections)

    @override
    async def publish(
        self,
        *,
        tenant: str,
        agent: str,
        version: str,
        model: str,
        tools: dict[str, str],
        pins: Mapping[str, str],
        egress: Sequence[str],
        by: str,
    ) -> None:
        await limit(self._state, tenant, by=BY_ITSELF)
        told: dict[str, Any] = {"tenant": tenant, "agent": agent, "version": version}
        await self._state.gateway.publish(**told, model=model, tools=tools, pins=pins, egress=egress, by=by)


async def _try_to_tell(state: State, limits: Limits, *, by: str) -> None:
    try:
        await tell(state, limits, by=by)
    except FreeholdError as error:
        log.warning("The gateway could not be told what %d tenants may spend, and is later: %s", len(limits), error)


class _Undone(Exception):
    """What was only tried is taken back."""


def _foreseen(state: State, change: Callable[[Platform], object]) -> tuple[Limits, Limits]:
    """Return what tenants may spend before a change and after it, which is tried for that and taken back."""
    before = _wanted(state)
    after: Limits = {}
    try:
        with state.store.write() as platform:
            change(platform)
            after = _limits(platform, state)
            raise _Undone  # noqa: TRY301 - leaving the block by an exception is what takes it back
    except _Undone:
        return before, after


def _write(state: State, change: Callable[[Platform], T]) -> T:
    with state.store.write() as platform:
        return change(platform)


def _wanted(state: State, tenant: str | None = None) -> Limits:
    with state.store.read() as platform:
        return _limits(platform, state, tenant)


def _limits(platform: Platform, state: State, tenant: str | None = None) -> Limits:
    found = spending(platform.connection, at=state.clock.now(), tenant=tenant)
    return {one: None if usd >= MOST_USD else min(nano(usd), MOST) for one, usd in found.items()}


def _less(limit: int | None, than: int | None) -> bool:
    return limit is not None and (than is None or limit < than)
