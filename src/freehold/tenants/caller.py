"""Who asks: from what came with a request to a `Caller`."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from freehold.core.access import ALL
from freehold.core.errors import Denied
from freehold.core.tenants import Caller, Key
from freehold.store.scope import Store
from freehold.tenants.keys import genuine, hashed, id_in, well_formed
from freehold.tenants.sealing import Seal

OPERATOR: Final = "operator"
UNAUTHENTICATED: Final = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What a request brings to say who asks."""

    authorization: str = ""
    """The header of that name: `Bearer <key>`."""
    session: str = ""
    """The value of the session cookie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """By what callers are recognised."""

    operator_hash: str
    seal: Seal


def recognise(store: Store, presented: Presented, *, known: Known, at: datetime) -> Caller:
    """
    Return who asks at this moment; raise `Denied` (401) where no key and no session in force came.

    Another key than the operator's is looked up by the id it carries, which is no secret. Hashes are compared in
    constant time, and a row counts only if its seal holds. A key counts before a session.
    """
    if not presented.authorization:
        raise _nobody()
    scheme, _, text = presented.authorization.strip().partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text:
        raise _nobody()
    return _keyed(store, text, known=known, at=at)


def _keyed(store: Store, text: str, *, known: Known, at: datetime) -> Caller:
    if not well_formed(text):
        raise _wrong()
    if known.operator_hash and hmac.compare_digest(hashed(text), known.operator_hash):
        return Caller(actor=OPERATOR, way="operator-key", platform=frozenset({ALL}))
    with store.read() as platform:
        key = platform.keys.find(id_in(text))
    if key is None or not genuine(known.seal, key, text) or (key.expires_at is not None and key.expires_at <= at):
        raise _wrong()
    return caller_of(key)


def caller_of(key: Key) -> Caller:
    """Return what the holder of `key` is to us."""
    who = Caller(actor=f"key:{key.id}", way="key", key=key.id, agent=key.agent, platform=key.scopes)
    if key.tenant is None:
        return who
    return Caller(actor=who.actor, way=who.way, key=key.id, agent=key.agent, within={key.tenant: key.scopes})


def _nobody() -> Denied:
    return Denied(
        "This needs a key.",
        code="no_key",
        status=UNAUTHENTICATED,
        remedy="Send it as: Authorization: Bearer <key>. An operator makes one with: freehold key create",
    )


def _wrong() -> Denied:
    return Denied(
        "This key is not in force.",
        code="bad_key",
        status=UNAUTHENTICATED,
        remedy="Check that the key is whole; ask an operator for a fresh one if it was revoked or has expired.",
    )
