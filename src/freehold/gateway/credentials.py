"""What opens a connection: the secret that was named for it."""

from sqlalchemy import Connection as Tx

from freehold.gateway import secrets
from freehold.gateway.connections import Connected
from freehold.gateway.keeping import Keep
from freehold.gateway.ports import Credential


def opened_for(tx: Tx, keep: Keep, connected: Connected) -> Credential:
    """Return what opens `connected`; nothing where it needs nothing. Raises `NotFound` (`missing_secret`)."""
    return secrets.opened(tx, keep, tenant=connected.owner, name=connected.secret)
