"""What programs in sandboxes reach of the gateway, put together: models, connections, and hosts that were granted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from freehold.gateway.calls.boxes import Boxes
from freehold.gateway.calls.speaking import Serve
from freehold.gateway.connections import Drivers
from freehold.gateway.egress.front import fronts
from freehold.gateway.egress.judging import Judge
from freehold.gateway.egress.metering import Limits, Sessions
from freehold.gateway.egress.plain import Plain
from freehold.gateway.egress.relay import Accounts, Relay
from freehold.gateway.egress.routing import BoxRoutes
from freehold.gateway.egress.tunnel import Tunnels
from freehold.gateway.egress.websocket import WebSockets
from freehold.gateway.keeping import Keep
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.guard import Guard
from freehold.settings import Settings


@asynccontextmanager
async def sandboxes_served(
    settings: Settings,
    keep: Keep,
    drivers: Drivers,
    guard: Guard,
    *,
    models: Serve,
    accounts: Accounts,
    users: int | None,
) -> AsyncIterator[Boxes]:
    """Give the boxes of a gateway; `users` is the number from which on sandboxes are users of their own."""
    limits = Limits(most_bytes=settings.egress_bytes, seconds=settings.egress_seconds, at_once=settings.egress_at_once)
    sessions, client = Sessions(keep, limits), Client(guard)
    relay = Relay(keep, drivers, sessions, client, accounts)
    judge = Judge(guard)
    front = fronts(Tunnels(sessions, judge).open, WebSockets(relay, guard).open)
    routes = BoxRoutes(models, relay, Plain(sessions, judge, client))
    boxes = Boxes(keep, settings.data / "box", routes, uid_base=users, front=front)
    try:
        yield boxes
    finally:
        await boxes.end()
        await sessions.drain()
        await client.close()
