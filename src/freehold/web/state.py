"""What the routes work with; the composition fills it in once per process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from freehold.core.clock import Clock
from freehold.core.ids import NewId
from freehold.core.metrics import Metrics
from freehold.gateway.client import WebGateway
from freehold.ingress.accepting import Limits
from freehold.ingress.channel import ChannelDriver
from freehold.runs.engine import Engine
from freehold.settings import Settings
from freehold.store.objects import TenantFiles
from freehold.store.scope import Store
from freehold.tenants.caller import Known
from freehold.tenants.sealing import Seal
from freehold.web.rates import Rates
from freehold.web.streams import Streams
from freehold.web.tail import Tail


class Nudge(Protocol):
    """Tells the workers that there is something to do; never waits, never fails."""

    def send(self, what: dict[str, object]) -> None:
        """Send one nudge."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything a route may need."""

    settings: Settings
    store: Store
    clock: Clock
    ids: NewId
    engine: Engine
    gateway: WebGateway
    tail: Tail
    streams: Streams
    """Who listens, and that they stop once they may not."""
    worker: Nudge
    channels: Mapping[str, ChannelDriver]
    files: Callable[[str], TenantFiles]
    """Gives the files of the tenant with an id."""
    known: Known
    """By what callers are recognised."""
    rates: Rates
    """How often they may ask."""
    metrics: Metrics = field(default_factory=Metrics)
    """What is counted of all this."""

    @property
    def seal(self) -> Seal:
        """What rows that give power are marked with."""
        return self.known.seal

    @property
    def limits(self) -> Limits:
        """How much is taken in at once."""
        settings = self.settings
        return Limits(message_bytes=settings.message_bytes, slots=settings.tenant_slots, run_hours=settings.run_hours)
