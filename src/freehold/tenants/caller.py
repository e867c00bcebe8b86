"""Who asks: from what came with a request to a `Caller`."""

import contextlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from freehold.core.access import ALL
from freehold.core.errors import Denied, FreeholdError
from freehold.core.people import PersonState, Session
from freehold.core.tenants import Caller, Key
from freehold.store.scope import Store
from freehold.tenants.key_uses import Uses
from freehold.tenants.keys import genuine, hashed, id_in, well_formed
from freehold.tenants.marks import genuine as made_by_us
from freehold.tenants.sealing import Seal
from freehold.tenants.sessions import SEEN, in_force
from freehold.tenants.sessions import hashed as session_hash
from freehold.tenants.sessions import well_formed as good_session
from freehold.tenants.standing import caller_in

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
    operator_passkey: bool = False
    """Whether operators must have shown a passkey in their session."""
    claim_hash: str = ""
    """SHA-256 of what the link shows that claims the installation; empty: none does."""
    uses: Uses = field(default_factory=Uses)
    """When keys were used, until it is written down."""


def recognise(store: Store, presented: Presented, *, known: Known, at: datetime) -> Caller:
    """
    Return who asks at this moment; raise `Denied` (401) where no key and no session in force came.

    Another key than the operator's is looked up by the id it carries, which is no secret. Hashes are compared in
    constant time, and a row counts only if its seal holds. A key counts before a session.
    """
    if not presented.authorization:
        return _signed_in(store, presented.session, known=known, at=at)
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
    if key is None or not genuine(known.seal, key, text) or not key.in_force(at):
        raise _wrong()
    known.uses.saw(key, at)
    return caller_of(key)


def _signed_in(store: Store, text: str, *, known: Known, at: datetime) -> Caller:
    if not text:
        raise _nobody()
    if not good_session(text):
        raise _over()
    with store.read() as platform:
        session = platform.sessions.by_hash(session_hash(text))
        if session is None or not in_force(session, seal=known.seal, at=at):
            raise _over()
        person = platform.people.find(session.person)
        if person is None or not made_by_us(known.seal, person) or person.state is not PersonState.ACTIVE:
            raise _over()
        places = platform.people.places(person.id)
    _see(store, session, at=at)
    return caller_in(session, person, places, seal=known.seal, passkey=known.operator_passkey)


def _see(store: Store, session: Session, *, at: datetime) -> None:
    """Write down, at most once a minute, that a session is in use; without room for it, it is in use all the same."""
    if at - session.seen_at < SEEN:
        return
    with contextlib.suppress(FreeholdError), store.write() as platform:
        platform.sessions.seen(session.id, at=at)


def caller_of(key: Key) -> Caller:
    """Return what the holder of `key` is to us."""
    who = Caller(actor=f"key:{key.id}", way="key", key=key.id, agent=key.agent, platform=key.scopes)
    if key.tenant is None:
        return who
    return Caller(actor=who.actor, way=who.way, key=key.id, agent=key.agent, within={key.tenant: key.scopes})


def _nobody() -> Denied:
    return Denied(
        "This needs a key, or somebody who is signed in.",
        code="no_key",
        status=UNAUTHENTICATED,
        remedy="Send a key as: Authorization: Bearer <key> (made with: freehold key create). People sign in at /sign-in.",
    )


def _over() -> Denied:
    return Denied("You are not signed in any more.", code="no_session", status=UNAUTHENTICATED, remedy="Sign in again.")


def _wrong() -> Denied:
    return Denied(
        "This key is not in force.",
        code="bad_key",
        status=UNAUTHENTICATED,
        remedy="Check that the key is whole; ask an operator for a fresh one if it was revoked or has expired.",
    )
