"""Which drivers the gateway speaks to the world by; each kind has a client of its own words, all go by one guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

from freehold.app.model_drivers import model_drivers
from freehold.core.clock import Clock
from freehold.drivers.connector.http.driver import Http
from freehold.drivers.connector.mcp.driver import Mcp
from freehold.drivers.connector.search import WebSearch
from freehold.drivers.connector.smtp import Smtp
from freehold.drivers.connector.web import Web
from freehold.drivers.connector.webhook import Webhook, webhook_trouble
from freehold.gateway.calls.upstream import provider_trouble
from freehold.gateway.children import InChild
from freehold.gateway.connections import Drivers
from freehold.gateway.outward.client import Client, trouble
from freehold.gateway.outward.guard import Guard
from freehold.gateway.ports import ConnectorDriver
from freehold.settings import Settings
from freehold.surroundings import passed_on

SEEN_BY_CHILDREN: Final = frozenset({"PYTHONPATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TZ"})
"""What children see of our surroundings: where our code is, and whom to believe."""


def mail_of(settings: Settings, clock: Clock) -> ConnectorDriver:
    """Return what sends mail: through a server from children, else it is printed here."""
    mail = Smtp(settings.smtp_url, settings.mail_from, clock, prints=settings.on_loopback)
    if not settings.smtp_url:
        return mail
    seen = {name: value for name, value in passed_on().items() if name in SEEN_BY_CHILDREN}
    made = {"url": settings.smtp_url, "sender": settings.mail_from}
    return InChild(mail, made, hidden=mail.secret, environment=seen)


@asynccontextmanager
async def drivers_of(settings: Settings, guard: Guard, clock: Clock) -> AsyncIterator[Drivers]:
    """Give the drivers, and let go of their connections at the end."""
    providers, receivers, servers = (Client(guard, told=told) for told in (provider_trouble, webhook_trouble, trouble))
    mcp = Mcp(servers, clock)
    try:
        yield Drivers(
            models=model_drivers(providers, clock),
            connectors=MappingProxyType(
                {
                    "smtp": mail_of(settings, clock),
                    "webhook": Webhook(receivers, clock),
                    "http": Http(servers),
                    "mcp": mcp,
                    "web": Web(servers),
                    "search": WebSearch(servers, clock),
                }
            ),
        )
    finally:
        await mcp.close()
        for client in (providers, receivers, servers):
            await client.close()
