"""What a sandbox may use: what the settings say, or less where its tenant's tier says less."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol, final

from typing_extensions import override

from freehold.core.clock import Clock
from freehold.core.quotas import Quota, exceeded
from freehold.sandboxes.runtime import Limits
from freehold.store.scope import Store
from freehold.store.threads import in_thread
from freehold.tenants.quotas import standing

LEAST: Final = {Quota.MEMORY_MB: 16.0, Quota.CPU: 0.01, Quota.STORAGE_MB: 1.0}
"""With less than this of one of them nothing can run; a tier that gives less gives no sandbox."""


class Allowance(Protocol):
    """Says what the next sandbox of a tenant may use."""

    async def __call__(self, tenant: str) -> Limits:
        """Return its limits; raise `Denied` (`quota_exceeded`) where the tenant may have none."""
        ...


@final
class AsSettings(Allowance):
    """The same for everybody."""

    def __init__(self, limits: Limits) -> None:
        """Allow `limits`."""
        self._limits = limits

    @override
    async def __call__(self, tenant: str) -> Limits:
        return self._limits


@final
class ByTier(Allowance):
    """As much as settings allow, and no more than the tenant's tier."""

    def __init__(self, store: Store, most: Limits, clock: Clock) -> None:
        """Allow `most`, or less."""
        self._store, self._most, self._clock = store, most, clock

    @override
    async def __call__(self, tenant: str) -> Limits:
        return within(self._most, await in_thread(self._look, tenant))

    def _look(self, tenant: str) -> Mapping[Quota, float]:
        with self._store.tenant(tenant).read() as scope:
            return standing(scope.connection, scope.tenant, at=self._clock.now()).limits


def within(most: Limits, tier: Mapping[Quota, float]) -> Limits:
    """
    Return `most`, cut down to what `tier` allows of memory, processors and disk.

    A run that has begun goes on when its tenant's tier ends; so the tier's end is none of our business here.
    """
    for quota, least in LEAST.items():
        if tier[quota] < least:
            raise exceeded(quota, limit=tier[quota], used=0)
    return replace(
        most,
        memory_mb=int(min(most.memory_mb, tier[Quota.MEMORY_MB])),
        cpus=min(most.cpus, tier[Quota.CPU]),
        disk_mb=int(min(most.disk_mb, tier[Quota.STORAGE_MB])),
    )
