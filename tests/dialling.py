"""The gateway's client for tests of drivers: it may go to this machine, and nowhere that is not public otherwise."""

from freehold.gateway.outward.client import Client, Told, trouble
from freehold.gateway.outward.destinations import ANY, Open
from freehold.gateway.outward.guard import Guard


async def loopback() -> Open:
    """Return what is open: every port of this machine, to everybody."""
    return frozenset({("", "127.0.0.1", ANY), ("", "localhost", ANY)})


def client(told: Told = trouble) -> Client:
    """Return a client that may go to this machine."""
    return Client(Guard(loopback), told=told)
