"""What a person may do, here and now: their role to the platform, and their places in tenants."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from freehold.core.access import ROLES
from freehold.core.people import Member, MemberState, Person, PlatformRole, Session
from freehold.core.tenants import Caller
from freehold.tenants.marks import genuine
from freehold.tenants.sealing import Seal

PROVISIONER: Final = frozenset({"provisioning:write"})
"""What an allowance gives: to create tenants, as many as it says."""


def caller_in(session: Session, person: Person, places: Iterable[Member], *, seal: Seal, passkey: bool) -> Caller:
    """
    Return who `person` is in `session`; a place whose seal does not hold, or that is suspended, gives nothing.

    With `passkey`, operators are operators only in a session in which they showed one.
    """
    held = (place for place in places if place.state is MemberState.ACTIVE and genuine(seal, place))
    return Caller(
        actor=f"person:{person.id}",
        way=str(session.way),
        platform=_platform(person, strong=session.strong or not passkey),
        within=MappingProxyType({place.tenant: ROLES[place.role] for place in held}),
        person=person.id,
        session=session.id,
    )


def _platform(person: Person, *, strong: bool) -> frozenset[str]:
    role = person.platform_role
    if role is PlatformRole.OPERATOR and not strong:
        role = None
    scopes = ROLES[role] if role is not None else frozenset()
    return scopes | PROVISIONER if person.allowance > 0 and scopes != ROLES[PlatformRole.OPERATOR] else scopes
