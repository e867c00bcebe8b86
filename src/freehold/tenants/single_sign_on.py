"""
Somebody came back from the sign-in provider: who are they here, and what are they now.

The first time, a person is found by the address the provider vouches for, or made because a group gives them a role.
From then on they are who the provider's subject was bound to, whatever address it tells. Their groups are looked at
each time they come: what a group gives is given, and what a group gave is taken away once it is gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from freehold.audit.database import note
from freehold.core.access import ALL
from freehold.core.ceremonies import Claims, GivenRole, Identity
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Denied, FreeholdError, Invalid, NotFound
from freehold.core.ids import NewId
from freehold.core.people import Member, Person, PersonState, PlatformRole, Role
from freehold.core.tenants import Caller, TenantState
from freehold.store.ceremonies import Identities
from freehold.store.platform import Platform
from freehold.store.scope import Scope
from freehold.tenants import members, people
from freehold.tenants.addresses import faithful, normal
from freehold.tenants.groups import PLATFORM, Change, Groups, changed
from freehold.tenants.marks import genuine
from freehold.tenants.names import visible
from freehold.tenants.sealing import Seal

ACTOR: Final = "oidc"
"""What the record calls the provider: what it gave, no person gave."""
PROVIDER: Final = Caller(actor=ACTOR, way="oidc", platform=frozenset({ALL}))
"""Who changes people when groups do: what groups may give, the operator has written into the settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What is needed to let somebody in."""

    platform: Platform
    groups: Groups
    seal: Seal
    ids: NewId
    clock: Clock

    @property
    def identities(self) -> Identities:
        """Who is bound to whom."""
        return Identities(self.platform.connection)


def come_in(desk: Desk, claims: Claims) -> Person:
    """Return the person whom the provider speaks of, as they now stand; raise `Denied` (`oidc_refused`) for nobody."""
    if not claims.verified or not claims.email:
        raise refused("The provider does not vouch for an address of yours.")
    gives = desk.groups.of(claims.groups)
    try:
        email = normal(claims.email)
    except Invalid as error:
        raise refused("The provider gave no address that we understand.") from error
    person = _known(desk, claims, email) or _made(desk, claims, email, gives)
    if not genuine(desk.seal, person) or person.state is not PersonState.ACTIVE:
        raise refused("You may not sign in here.")
    _bind(desk, claims, person)
    return _given(desk, person, gives)


def whose(platform: Platform, *, issuer: str, subject: str, seal: Seal) -> str:
    """Return the id of the person whom the provider's subject is; empty for nobody."""
    found = (one for one in Identities(platform.connection).touching(issuer, subject) if one.subject == subject)
    return next((one.person for one in found if _holds(seal, one)), "")


def refused(why: str) -> Denied:
    """Return the refusal of somebody whom the provider let through and we do not."""
    return Denied(
        f"This sign-in is not accepted. {why}",
        code="oidc_refused",
        status=401,
        remedy="Sign in another way, or ask whoever runs this platform to let you in.",
    )


def _known(desk: Desk, claims: Claims, email: str) -> Person | None:
    person = whose(desk.platform, issuer=claims.issuer, subject=claims.subject, seal=desk.seal)
    kept = desk.platform.people
    if person:
        return kept.find(person)
    if not faithful(claims.email):
        raise refused("The provider gave an address that could be taken for another one.")
    return kept.by_email(email)


def _made(desk: Desk, claims: Claims, email: str, gives: Mapping[str, str]) -> Person:
    if not gives:
        raise refused("Nobody here has your address, and none of your groups has a place here.")
    person = Person(id=desk.ids("per"), email=email, name=visible(claims.name), created_at=desk.clock.now())
    return people.add(desk.platform, person, by=ACTOR, seal=desk.seal, clock=desk.clock)


def _bind(desk: Desk, claims: Claims, person: Person) -> None:
    """Remember whom the subject is; raise `Denied` where it, or the person, is bound to another one."""
    at, found = desk.clock.now(), desk.identities.touching(claims.issuer, claims.subject, person.id)
    identity = Identity(issuer=claims.issuer, subject=claims.subject, person=person.id, created_at=at, seen_at=at)
    if not found:
        desk.identities.add(replace(identity, seal=_mark(desk.seal, identity)))
        note(
            desk.platform.connection,
            at=at,
            tenant=None,
            actor=ACTOR,
            action="identity.bind",
            subject=person.id,
            personal={"issuer": claims.issuer, "subject": claims.subject},
        )
    elif [(one.subject, one.person) for one in found] != [(claims.subject, person.id)] or not _holds(
        desk.seal, found[0]
    ):
        raise refused("Your address belongs to another account of the provider.")
    else:
        desk.identities.seen(found[0], at=at)


def _given(desk: Desk, person: Person, gives: Mapping[str, str]) -> Person:
    """Return `person` as their groups make them, here and in every tenant."""
    found = {one.tenant: one for one in desk.identities.given(person.id) if _holds_given(desk.seal, one)}
    wanted = {where: role for slug, role in gives.items() if (where := _place(desk, slug)) is not None}
    for tenant in sorted(wanted.keys() | found.keys() - {PLATFORM}):
        if tenant != PLATFORM:
            _become_member(desk, person, tenant, found.get(tenant), wanted.get(tenant, ""))
    return _become(desk, person, found.get(PLATFORM), wanted.get(PLATFORM, ""))


def _become(desk: Desk, person: Person, given: GivenRole | None, wanted: str) -> Person:
    """Return `person` with the role to the platform that groups give; the last operator stays."""
    current = str(person.platform_role or "")
    change = changed(current, given, wanted)
    if change.role != current:
        role = PlatformRole(change.role) if change.role else None
        now = people.Change(platform_role=role, no_role=role is None)
        try:
            person = people.change(desk.platform, person.id, now, by=PROVIDER, seal=desk.seal, clock=desk.clock)
        except Conflict as error:
            _note_refusal(desk, None, person, error)
            return person
    _remember(desk, person, PLATFORM, given, change)
    return person


def _become_member(desk: Desk, person: Person, tenant: str, given: GivenRole | None, wanted: str) -> None:
    """Let `person` be in a tenant what groups give; its last owner stays, and a full one gets nobody new."""
    scope = Scope(desk.platform.connection, tenant)
    found = scope.members.of_person(person.id)
    member = found if genuine(desk.seal, found) else None
    current = str(member.role) if member else ""
    change = changed(current, given, wanted)
    try:
        if change.role != current:
            _move(desk, scope, person, member, change.role)
    except (Conflict, Denied) as error:
        _note_refusal(desk, tenant, person, error)
        return
    _remember(desk, person, tenant, given, change)


def _move(desk: Desk, scope: Scope, person: Person, member: Member | None, role: str) -> None:
    seal, clock = desk.seal, desk.clock
    if member is None:
        members.join(scope, person, Role(role), by=ACTOR, seal=seal, ids=desk.ids, clock=clock)
    elif role:
        members.change(scope, member.id, role=Role(role), by=PROVIDER, seal=seal, clock=clock)
    else:
        members.remove(scope, member.id, by=PROVIDER, seal=seal, clock=clock)


def _place(desk: Desk, slug: str) -> str | None:
    """Return the id of the tenant that the setting means, if there is one."""
    if slug == PLATFORM:
        return PLATFORM
    try:
        tenant = desk.platform.tenants.find(slug)
    except NotFound:
        return None
    return tenant.id if tenant.state is not TenantState.DELETED and genuine(desk.seal, tenant) else None


def _remember(desk: Desk, person: Person, tenant: str, before: GivenRole | None, change: Change) -> None:
    if change.given:
        now = GivenRole(person=person.id, tenant=tenant, role=change.given, before=change.before)
        desk.identities.give(replace(now, seal=_mark_given(desk.seal, now)))
    elif before is not None:
        desk.identities.take_back(before)


def _note_refusal(desk: Desk, tenant: str | None, person: Person, error: FreeholdError) -> None:
    """Write down what groups wanted and could not have; it keeps nobody from signing in."""
    note(
        desk.platform.connection,
        at=desk.clock.now(),
        tenant=tenant,
        actor=ACTOR,
        action="oidc.refuse_role",
        subject=person.id,
        detail={"code": error.code},
        verdict="deny",
    )


def _mark(seal: Seal, identity: Identity) -> str:
    return seal.mark("identity", issuer=identity.issuer, subject=identity.subject, person=identity.person)


def _holds(seal: Seal, identity: Identity) -> bool:
    told = {"issuer": identity.issuer, "subject": identity.subject, "person": identity.person}
    return seal.holds(identity.seal, "identity", **told)


def _mark_given(seal: Seal, given: GivenRole) -> str:
    return seal.mark("given", person=given.person, tenant=given.tenant, role=given.role, before=given.before)


def _holds_given(seal: Seal, given: GivenRole) -> bool:
    told = {"person": given.person, "tenant": given.tenant, "role": given.role, "before": given.before}
    return seal.holds(given.seal, "given", **told)
