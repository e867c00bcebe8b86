"""
Members: what people are in a tenant.

One gives, changes and takes away only roles that one reaches oneself: whoever may not do all that a role may, can
neither make nor unmake somebody who has it. A tenant that has an owner keeps one. All of it is looked at in the
transaction that changes it, so that of two who want to go at once, one stays.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from freehold.audit.canonical import fingerprint
from freehold.audit.database import note
from freehold.core.access import ROLES
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Denied, Invalid, NotFound
from freehold.core.ids import NewId
from freehold.core.people import Member, MemberState, Person, PersonState, Role
from freehold.core.quotas import Quota
from freehold.core.tenants import Caller
from freehold.store.people import Invitations, People, invitations_by
from freehold.store.scope import Scope
from freehold.tenants.addresses import normal
from freehold.tenants.marks import genuine, mark_of
from freehold.tenants.quotas import admit
from freehold.tenants.sealing import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A member, and who that is."""

    member: Member
    person: Person


def places(scope: Scope, *, seal: Seal) -> list[Place]:
    """Return the tenant's members and who they are, oldest first."""
    found = ((member, _person(scope, member, seal=seal)) for member in scope.members.all() if genuine(seal, member))
    return [Place(member=member, person=person) for member, person in found if person is not None]


def place(scope: Scope, member: str, *, seal: Seal) -> Place:
    """Return one member and who that is; raise `NotFound` where there is none."""
    found = _get(scope, member, seal=seal)
    person = _person(scope, found, seal=seal)
    if person is None:
        raise _missing()
    return Place(member=found, person=person)


def join(scope: Scope, person: Person, role: Role, *, by: str, seal: Seal, ids: NewId, clock: Clock) -> Member:
    """
    Give somebody a place in the tenant and return it; whether `by` may give that role was decided before.

    Raises `Conflict` (`member_already`) or `Denied` (`quota_exceeded`, `tier_ended`).
    """
    known = scope.members.of_person(person.id)
    if known is not None and not genuine(seal, known):
        scope.members.remove(known.id)  # web did not put it there
    elif known is None:
        admit(scope.connection, scope.tenant, Quota.MEMBERS, at=clock.now())
    member = Member(id=ids("mem"), tenant=scope.tenant, person=person.id, role=role, created_at=clock.now())
    member = replace(member, seal=mark_of(seal, member))
    scope.members.add(member)
    _note(scope, "member.join", None, member, by=by, clock=clock, email=person.email)
    return member


def change(
    scope: Scope,
    member: str,
    *,
    role: Role | None = None,
    state: MemberState | None = None,
    by: Caller,
    seal: Seal,
    clock: Clock,
) -> Member:
    """
    Change what a member is, or suspend them or let them in again; return them as they now stand.

    Raises `Denied` (`role_out_of_reach`) or `Conflict` (`last_owner`).
    """
    found = _get(scope, member, seal=seal)
    changed = replace(found, role=role or found.role, state=state or found.state)
    for one in (found, changed):
        require_reach(by, one.role, scope.tenant)
    if not _owns(changed):
        _keep_an_owner(scope, found, seal=seal)
    return _write(scope, found, changed, by=by.actor, seal=seal, clock=clock)


def remove(scope: Scope, member: str, *, by: Caller, seal: Seal, clock: Clock) -> Member:
    """Take a member's place away and return what it was; raises as `change` does."""
    found = _get(scope, member, seal=seal)
    require_reach(by, found.role, scope.tenant)
    return _gone(scope, found, "member.remove", by=by.actor, seal=seal, clock=clock)


def leave(scope: Scope, person: str, *, by: str, seal: Seal, clock: Clock) -> Member:
    """Let somebody give up their place; raise `Conflict` (`last_owner`, or `not_a_member` where they have none)."""
    return _gone(scope, _own(scope, person, seal=seal), "member.leave", by=by, seal=seal, clock=clock)


def transfer(
    scope: Scope, to: str, *, giver: str | None, by: Caller, seal: Seal, clock: Clock
) -> tuple[Member, Member]:
    """
    Make a member owner and the owner who gives it admin; return both, the new owner first.

    The giver is whoever asks, if they have a place here; otherwise the only owner, or the one that is named.
    """
    giving = _giver(scope, giver, by=by, seal=seal)
    found = _get(scope, to, seal=seal)
    if found.id == giving.id:
        raise Invalid("They own it already.", code="own_giver", remedy="Name another member.")
    if found.state is not MemberState.ACTIVE:
        raise Conflict("This member is suspended.", code="member_suspended", remedy="Let them in again first.")
    made = _write(scope, found, replace(found, role=Role.OWNER), by=by.actor, seal=seal, clock=clock)
    _keep_an_owner(scope, giving, seal=seal)
    left = _write(scope, giving, replace(giving, role=Role.ADMIN), by=by.actor, seal=seal, clock=clock)
    return made, left


def require_reach(by: Caller, role: Role, tenant: str) -> None:
    """Return if the caller may do all that `role` may in the tenant; raise `Denied` (`role_out_of_reach`) where not."""
    if not by.holds(ROLES[role], tenant):
        raise Denied(
            f"You cannot give or take away the role {role}.",
            code="role_out_of_reach",
            remedy="Ask somebody who has that role, or more.",
        )


def withdraw(
    connection: Connection,
    person: str,
    *,
    tenant: str | None = None,
    left: Role | None = None,
    seal: Seal,
    clock: Clock,
) -> None:
    """Take back what a person still offers, in one tenant or in all, and could not with the role they have `left`."""
    at = clock.now()
    for one in invitations_by(connection, f"person:{person}"):
        could = left is not None and left.reaches(one.role)
        if one.open(at) and not could and tenant in {None, one.tenant}:
            ended = replace(one, revoked_at=at)
            kept = mark_of(seal, ended) if genuine(seal, one) else ""
            Invitations(connection, one.tenant).save(replace(ended, seal=kept))


def _giver(scope: Scope, giver: str | None, *, by: Caller, seal: Seal) -> Member:
    owners = [one for one in scope.members.all() if _owns(one) and genuine(seal, one)]
    require_reach(by, Role.OWNER, scope.tenant)
    wanted: Callable[[Member], bool] = lambda one: one.id == giver if giver else one.person == by.person  # noqa: E731
    named = [one for one in owners if wanted(one)] or ([] if giver else owners)
    if len(named) != 1:
        raise Invalid(
            "It is not clear whose ownership is handed on.",
            code="whose_place",
            remedy="Name the owner who gives it as `giver`.",
        )
    return named[0]


def _gone(scope: Scope, found: Member, action: str, *, by: str, seal: Seal, clock: Clock) -> Member:
    _keep_an_owner(scope, found, seal=seal)
    scope.members.remove(found.id)
    withdraw(scope.connection, found.person, tenant=scope.tenant, seal=seal, clock=clock)
    _note(scope, action, found, None, by=by, clock=clock)
    return found


def _write(scope: Scope, before: Member, after: Member, *, by: str, seal: Seal, clock: Clock) -> Member:
    after = replace(after, seal=mark_of(seal, after))
    scope.members.save(after)
    left = after.role if after.state is MemberState.ACTIVE else None
    withdraw(scope.connection, after.person, tenant=scope.tenant, left=left, seal=seal, clock=clock)
    _note(scope, "member.change", before, after, by=by, clock=clock)
    return after


def _keep_an_owner(scope: Scope, but: Member, *, seal: Seal) -> None:
    """Raise `Conflict` (`last_owner`) if the tenant's only owner would go."""
    if not _owns(but):
        return
    others = (one for one in scope.members.all() if one.id != but.id and _owns(one) and genuine(seal, one))
    found = (_person(scope, one, seal=seal) for one in others)
    if not any(person is not None and person.state is PersonState.ACTIVE for person in found):
        raise Conflict(
            "This is the tenant's last owner.",
            code="last_owner",
            remedy="Hand the ownership on first: freehold member transfer",
        )


def _owns(member: Member) -> bool:
    return member.role is Role.OWNER and member.state is MemberState.ACTIVE


def _get(scope: Scope, member: str, *, seal: Seal) -> Member:
    """Return the member with this id, or this address."""
    found = _addressed(scope, member) if "@" in member else scope.members.get(member)
    if found is None or not genuine(seal, found):
        raise _missing()
    return found


def _addressed(scope: Scope, email: str) -> Member | None:
    person = People(scope.connection).by_email(normal(email))
    return None if person is None else scope.members.of_person(person.id)


def _own(scope: Scope, person: str, *, seal: Seal) -> Member:
    found = scope.members.of_person(person)
    if found is None or not genuine(seal, found):
        raise Conflict("You have no place in this tenant.", code="not_a_member", remedy="There is nothing to leave.")
    return found


def _person(scope: Scope, member: Member, *, seal: Seal) -> Person | None:
    found = People(scope.connection).find(member.person)
    return found if genuine(seal, found) else None


def _missing() -> NotFound:
    return NotFound("There is no such member.", remedy="`freehold member list` shows the tenant's members.")


def _note(
    scope: Scope, action: str, before: Member | None, after: Member | None, *, by: str, clock: Clock, email: str = ""
) -> None:
    told = after or before
    if told is None:
        return
    note(
        scope.connection,
        at=clock.now(),
        tenant=scope.tenant,
        actor=by,
        action=action,
        subject=told.id,
        detail={"person": told.person, "role": told.role, "state": told.state},
        personal={"email": email} if email else None,
        before=fingerprint(before, "seal"),
        after=fingerprint(after, "seal"),
    )
