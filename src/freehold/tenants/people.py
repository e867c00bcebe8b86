"""
People: who can sign in, and what they are to the whole platform.

Everybody is known once, by their address. What they are is sealed, so that it counts only if web wrote it. Nobody
makes somebody more than they are themselves, and while anybody can be an operator, one stays.
"""

from dataclasses import dataclass, replace
from typing import Final

from freehold.audit.canonical import fingerprint
from freehold.audit.database import note
from freehold.core.access import ROLES
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Denied, Invalid, NotFound
from freehold.core.ids import NewId
from freehold.core.people import Person, PersonState, PlatformRole
from freehold.core.tenants import Caller
from freehold.store.platform import Platform
from freehold.tenants import sessions
from freehold.tenants.addresses import normal
from freehold.tenants.marks import genuine, mark_of
from freehold.tenants.members import withdraw
from freehold.tenants.names import good_name
from freehold.tenants.sealing import Seal

MOST_TENANTS: Final = 100_000
OPERATORS_KEY: Final = "operator-key"
PERSONAL: Final = ("email", "name", "seal")
"""What the record's hashes leave out: it could be guessed from them, or says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be different about somebody; None leaves it as it is."""

    name: str | None = None
    platform_role: PlatformRole | None = None
    no_role: bool = False
    """Whether the role to the platform is taken away."""
    allowance: int | None = None
    state: PersonState | None = None

    def of(self, person: Person) -> Person:
        """Return `person` changed."""
        role = None if self.no_role else self.platform_role or person.platform_role
        return replace(
            person,
            name=person.name if self.name is None else good_name(self.name),
            platform_role=role,
            allowance=person.allowance if self.allowance is None else good_allowance(self.allowance),
            state=self.state or person.state,
        )


def create(
    platform: Platform,
    *,
    email: str,
    name: str = "",
    platform_role: PlatformRole | None = None,
    allowance: int = 0,
    by: Caller,
    seal: Seal,
    ids: NewId,
    clock: Clock,
) -> Person:
    """
    Let there be somebody who can sign in, and return them.

    Raises `Invalid` (`bad_email`, `bad_name`, `bad_allowance`), `Conflict` (`email_taken`) or `Denied`
    (`role_out_of_reach`) where `by` would make them more than they are.
    """
    person = Person(
        id=ids("per"),
        email=normal(email),
        name=good_name(name),
        created_at=clock.now(),
        platform_role=platform_role,
        allowance=good_allowance(allowance),
    )
    require_reach(by, person)
    return add(platform, person, by=by.actor, seal=seal, clock=clock)


def add(platform: Platform, person: Person, *, by: str, seal: Seal, clock: Clock) -> Person:
    """Write down somebody new, sealed, and return them; whether `by` may do that was decided before."""
    person = replace(person, seal=mark_of(seal, person))
    platform.people.add(person)
    _note(platform, "person.create", None, person, by=by, clock=clock)
    return person


def change(platform: Platform, person: str, wanted: Change, *, by: Caller, seal: Seal, clock: Clock) -> Person:
    """
    Change somebody (by id or address) and return them; who is closed is signed out everywhere.

    Raises `Conflict` (`last_operator`) where nobody would be left who may do everything, unless the operator's own
    key asks, and `Denied` (`role_out_of_reach`) where it would touch somebody who is more than `by`.
    """
    found = get(platform, person, seal=seal)
    changed = wanted.of(found)
    for one in (found, changed):
        require_reach(by, one)
    if by.way != OPERATORS_KEY and _operates(found) and not _operates(changed):
        _keep_an_operator(platform, found, seal=seal)
    changed = replace(changed, seal=mark_of(seal, changed))
    platform.people.save(changed)
    _note(platform, "person.change", found, changed, by=by.actor, clock=clock)
    if changed.state is PersonState.CLOSED:
        sessions.end_all(platform, changed.id, by=by.actor, clock=clock)
        withdraw(platform.connection, changed.id, seal=seal, clock=clock)
    return changed


def get(platform: Platform, name: str, *, seal: Seal) -> Person:
    """Return the person with this id or address, if web made them; raise `NotFound` where there is none."""
    found = platform.people.by_email(normal(name)) if "@" in name else platform.people.find(name)
    if found is None or not genuine(seal, found):
        raise NotFound("There is no such person.", remedy="`freehold person list` shows everybody.")
    return found


def good_allowance(allowance: int) -> int:
    """Return how many tenants somebody may create, if that can be; raise `Invalid` (`bad_allowance`) where not."""
    if not 0 <= allowance <= MOST_TENANTS:
        raise Invalid(
            f"An allowance is a number from 0 to {MOST_TENANTS}.", code="bad_allowance", remedy="0 allows none."
        )
    return allowance


def reaches(by: Caller, person: Person) -> bool:
    """Return whether the caller may do all over the platform that `person` may: only then may they change them."""
    scopes = ROLES[person.platform_role] if person.platform_role is not None else frozenset()
    return by.holds(scopes | {"provisioning:write"} if person.allowance else scopes, None)


def require_reach(by: Caller, person: Person) -> None:
    """Return if the caller `reaches` the person; raise `Denied` (`role_out_of_reach`) where not."""
    if not reaches(by, person):
        raise Denied(
            "This would touch somebody who may do more than you.",
            code="role_out_of_reach",
            remedy="Ask an operator.",
        )


def _operates(person: Person) -> bool:
    return person.platform_role is PlatformRole.OPERATOR and person.state is PersonState.ACTIVE


def _keep_an_operator(platform: Platform, but: Person, *, seal: Seal) -> None:
    others = platform.people.with_platform_role(PlatformRole.OPERATOR)
    if not any(_operates(one) and genuine(seal, one) for one in others if one.id != but.id):
        raise Conflict(
            "They are the last operator.",
            code="last_operator",
            remedy="Make somebody else operator first, or use the operator's key on the machine itself.",
        )


def _note(platform: Platform, action: str, before: Person | None, after: Person, *, by: str, clock: Clock) -> None:
    detail = {"platform_role": after.platform_role, "allowance": after.allowance, "state": after.state}
    note(
        platform.connection,
        at=clock.now(),
        tenant=None,
        actor=by,
        action=action,
        subject=after.id,
        detail=detail,
        personal={"email": after.email, "name": after.name},
        before=fingerprint(before, *PERSONAL),
        after=fingerprint(after, *PERSONAL),
    )
