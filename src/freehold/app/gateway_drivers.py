"""Which drivers the gateway speaks to the world by; each kind has a client of its own words, all go by one guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType

from freehold.app.model_drivers import model_drivers
from freehold.core.clock import Clock
from freehold.drivers.connector.http.driver import Http
from freehold.drivers.connector.smtp import Smtp
from freehold.drivers.connector.webhook import Webhook, webhook_trouble
from freehold.gateway.calls.upstream import provider_trouble
from freehold.gateway.connections import Drivers
from freehold.gateway.outward.client import Client, trouble
from freehold.gateway.outward.guard import Guard
from freehold.settings import Settings


@asynccontextmanager
async def drivers_of(settings: Settings, guard: Guard, clock: Clock) -> AsyncIterator[Drivers]:
    """Give the drivers, and let go of their connections at the end."""
    providers, receivers, servers = (Client(guard, told=told) for told in (provider_trouble, webhook_trouble, trouble))
    try:
        yield Drivers(
            models=model_drivers(providers, clock),
            connectors=MappingProxyType(
                {
                    "smtp": Smtp(settings.smtp_url, settings.mail_from, clock, prints=settings.on_loopback),
                    "webhook": Webhook(receivers, clock),
                    "http": Http(servers),
                }
            ),
        )
    finally:
        for client in (providers, receivers, servers):
            await client.close()
