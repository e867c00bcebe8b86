"""
Whether whoever made an offer still may: an invitation is worth what its maker is on the day it is taken.

A key that leaked invites in a second, for a week. So it is not enough to look when the offer is made.
"""

from datetime import datetime

from freehold.core.access import ROLES
from freehold.core.people import Invitation, MemberState, PersonState
from freehold.core.tenants import Caller
from freehold.store.platform import Platform
from freehold.tenants.caller import OPERATOR, caller_of
from freehold.tenants.marks import genuine
from freehold.tenants.sealing import Seal


def stands(platform: Platform, invitation: Invitation, *, seal: Seal, at: datetime) -> bool:
    """
    Return whether the maker of `invitation` could make it at this moment.

    What a key offered ends with that key, also where another took its place: it may have been rotated because it leaked.
    """
    kind, _, name = invitation.invited_by.partition(":")
    if kind == OPERATOR:
        return True
    maker = _person(platform, name, seal=seal) if kind == "person" else _key(platform, name, seal=seal, at=at)
    return maker is not None and maker.holds(ROLES[invitation.role], invitation.tenant)


def _person(platform: Platform, name: str, *, seal: Seal) -> Caller | None:
    person = platform.people.find(name)
    if person is None or not genuine(seal, person) or person.state is not PersonState.ACTIVE:
        return None
    places = (one for one in platform.people.places(name) if one.state is MemberState.ACTIVE and genuine(seal, one))
    return Caller(
        actor=f"person:{name}",
        person=name,
        platform=ROLES[person.platform_role] if person.platform_role is not None else frozenset(),
        within={place.tenant: ROLES[place.role] for place in places},
    )


def _key(platform: Platform, name: str, *, seal: Seal, at: datetime) -> Caller | None:
    key = platform.keys.find(name)
    return caller_of(key) if key is not None and genuine(seal, key) and key.in_force(at) else None
