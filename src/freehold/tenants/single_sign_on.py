"""
Somebody came back from the sign-in provider: who are they here, and what are they now.

The first time, a person is found by the address the provider vouches for, or made because a group gives them a role.
From then on they are who the provider's subject was bound to, whatever address it tells. Their groups are looked at
each time they come: what a group gives is given, and what a group gave is taken away once it is gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from freehold.audit.database import note
from freehold.core.ceremonies import Claims, GivenRole, Identity
from freehold.core.clock import Clock
from freehold.core.errors import Denied, Invalid, NotFound
from freehold.core.ids import NewId
from freehold.core.people import Member, MemberState, Person, PersonState, PlatformRole, Role
from freehold.core.quotas import Quota
from freehold.core.tenants import TenantState
from freehold.store.ceremonies import Identities
from freehold.store.people import Members
from freehold.store.platform import Platform
from freehold.tenants import quotas
from freehold.tenants.addresses import normal
from freehold.tenants.groups import PLATFORM, Groups, changed
from freehold.tenants.marks import genuine, mark_of
from freehold.tenants.sealing import Seal

ACTOR: Final = "oidc"
"""What the record calls the provider: what it gave, no person gave."""


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
    people = desk.platform.people
    return people.find(person) if person else people.by_email(email)


def _made(desk: Desk, claims: Claims, email: str, gives: Mapping[str, str]) -> Person:
    if not gives:
        raise refused("Nobody here has your address, and none of your groups has a place here.")
    at = desk.clock.now()
    person = Person(id=desk.ids("per"), email=email, name=claims.name, created_at=at)
    person = replace(person, seal=mark_of(desk.seal, person))
    desk.platform.people.add(person)
    note(
        desk.platform.connection,
        at=at,
        tenant=None,
        actor=ACTOR,
        action="person.create",
        subject=person.id,
        personal={"email": person.email, "name": person.name},
    )
    return person


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
    change = changed(str(person.platform_role or ""), given, wanted)
    _remember(
        desk,
        person.id,
        PLATFORM,
        given,
        GivenRole(person=person.id, tenant=PLATFORM, role=change.given, before=change.before),
    )
    if change.role == str(person.platform_role or ""):
        return person
    now = replace(person, platform_role=PlatformRole(change.role) if change.role else None)
    now = replace(now, seal=mark_of(desk.seal, now))
    desk.platform.people.save(now)
    _note(desk, None, "person.change", person.id, {"role": change.role, "before": str(person.platform_role or "")})
    return now


def _become_member(desk: Desk, person: Person, tenant: str, given: GivenRole | None, wanted: str) -> None:
    members, at = Members(desk.platform.connection, tenant), desk.clock.now()
    found = members.of_person(person.id)
    member = found if genuine(desk.seal, found) else None
    current = str(member.role) if member else ""
    change = changed(current, given, wanted)
    if current == Role.OWNER and change.role != current and not _others_own(desk, members, person.id):
        return  # a tenant without an owner could not be helped any more
    if change.role and not member and not _room(desk, tenant, person, at):
        return
    now = GivenRole(person=person.id, tenant=tenant, role=change.given, before=change.before)
    _remember(desk, person.id, tenant, given, now)
    if change.role == current:
        return
    detail = {"person": person.id, "role": change.role, "before": current}
    if not change.role and member:
        members.remove(member.id)
        _note(desk, tenant, "member.remove", member.id, detail)
    elif member:
        _save(desk, members, replace(member, role=Role(change.role)))
        _note(desk, tenant, "member.change", member.id, detail)
    else:
        if found is not None:
            members.remove(found.id)  # a row that web did not write is in the way of one that it does
        fresh = Member(id=desk.ids("mem"), tenant=tenant, person=person.id, role=Role(change.role), created_at=at)
        members.add(replace(fresh, seal=mark_of(desk.seal, fresh)))
        _note(desk, tenant, "member.add", fresh.id, detail)


def _save(desk: Desk, members: Members, member: Member) -> None:
    members.save(replace(member, seal=mark_of(desk.seal, member)))


def _others_own(desk: Desk, members: Members, person: str) -> bool:
    return any(
        member.role is Role.OWNER and member.state is MemberState.ACTIVE and member.person != person
        for member in members.all()
        if genuine(desk.seal, member)
    )


def _room(desk: Desk, tenant: str, person: Person, at: datetime) -> bool:
    """Return whether the tenant may have one more member; that it may not keeps nobody from signing in."""
    try:
        quotas.admit(desk.platform.connection, tenant, Quota.MEMBERS, at=at)
    except Denied as error:
        _note(desk, tenant, "member.refuse", person.id, {"code": error.code})
        return False
    return True


def _place(desk: Desk, slug: str) -> str | None:
    """Return the id of the tenant that the setting means, if there is one."""
    if slug == PLATFORM:
        return PLATFORM
    try:
        tenant = desk.platform.tenants.find(slug)
    except NotFound:
        return None
    return None if tenant.state is TenantState.DELETED else tenant.id


def _remember(desk: Desk, person: str, tenant: str, before: GivenRole | None, now: GivenRole) -> None:
    if now.role:
        desk.identities.give(replace(now, seal=_mark_given(desk.seal, now)))
    elif before is not None:
        desk.identities.take_back(before)


def _note(desk: Desk, tenant: str | None, action: str, subject: str, detail: Mapping[str, str]) -> None:
    note(
        desk.platform.connection,
        at=desk.clock.now(),
        tenant=tenant,
        actor=ACTOR,
        action=action,
        subject=subject,
        detail=detail,
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
