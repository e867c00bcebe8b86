"""What opens a connection: the secret that was named for it, or the account that somebody signed in to."""

from sqlalchemy import Connection as Tx

from freehold.gateway import secrets, tokens
from freehold.gateway.connections import Connected
from freehold.gateway.keeping import Keep
from freehold.gateway.oauth import FIELD
from freehold.gateway.ports import Credential


def opened_for(tx: Tx, keep: Keep, connected: Connected) -> Credential:
    """
    Return what opens `connected`; nothing where it needs nothing.

    Raises `NotFound` (`missing_secret`), or `Denied` (`not_connected`) where nobody is signed in to its account. A
    token that is about to run out is prolonged before, by `sign_in.accounts`; there is no time for it here.
    """
    if connected.config.get(FIELD) is not None:
        return tokens.access(tx, keep, owner=connected.owner, connection=connected.name)
    return secrets.opened(tx, keep, tenant=connected.owner, name=connected.secret)
