"""Whether callers who were let in a while ago would still be let in now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from freehold.core.people import Member, Person, PersonState, Session
from freehold.core.tenants import Caller, Key
from freehold.store.platform import Platform
from freehold.store.standing import Standing
from freehold.tenants.caller import Known, caller_of
from freehold.tenants.marks import genuine
from freehold.tenants.sessions import in_force
from freehold.tenants.standing import caller_in


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """What stands behind callers now."""

    sessions: Mapping[str, Session]
    people: Mapping[str, Person]
    places: Mapping[str, list[Member]]
    keys: Mapping[str, Key]


def lost(platform: Platform, callers: Collection[tuple[Caller, str]], *, known: Known, at: datetime) -> Sequence[bool]:
    """
    Return for each of `callers`, with the tenant they work in, whether they may do less there than when they came.

    Whoever may do other things now than then counts as well: what was begun with the old role ends with it.
    """
    standing = Standing(platform.connection)
    people = {caller.person for caller, _ in callers if caller.person}
    rows = _Rows(
        sessions=standing.sessions({caller.session for caller, _ in callers if caller.session}),
        people=standing.people(people),
        places=standing.places(people),
        keys=standing.keys({caller.key for caller, _ in callers if caller.key}),
    )
    return [not _keeps(caller, _now(caller, rows, known=known, at=at), tenant) for caller, tenant in callers]


def _keeps(then: Caller, now: Caller | None, tenant: str) -> bool:
    if now is None:
        return False
    return then.platform <= now.platform and then.within.get(tenant, frozenset()) <= now.within.get(tenant, frozenset())


def _now(caller: Caller, rows: _Rows, *, known: Known, at: datetime) -> Caller | None:
    """Return who `caller` is now; none where they would not be let in."""
    if caller.session is not None:
        return _signed_in(caller, rows, known=known, at=at)
    if caller.key is None:
        return caller  # the operator's key is in no database; it is as good as the process
    key = rows.keys.get(caller.key)
    if key is None or not genuine(known.seal, key) or not key.in_force(at):
        return None
    return caller_of(key)


def _signed_in(caller: Caller, rows: _Rows, *, known: Known, at: datetime) -> Caller | None:
    session, person = rows.sessions.get(caller.session or ""), rows.people.get(caller.person or "")
    if session is None or not in_force(session, seal=known.seal, at=at):
        return None
    if person is None or not genuine(known.seal, person) or person.state is not PersonState.ACTIVE:
        return None
    places = rows.places.get(person.id, ())
    return caller_in(session, person, places, seal=known.seal, passkey=known.operator_passkey)
