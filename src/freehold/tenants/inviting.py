"""
Invitations: a place in a tenant, offered to an address by a link that is good once.

There are two forms of the link. The one in the mail proves that whoever follows it reads that address, so it takes the
place, and signs in whoever nobody knew before. It signs in nobody else: it lies in a mailbox for days, and what people
have elsewhere is worth a code. The link that the inviter is shown proves nothing: it takes the place only for whoever is
signed in with that address, since a tenant's admin could otherwise make anybody a member, or be signed in as them.
Neither is kept: only what the link's token hashes to.
"""

import hmac
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from freehold.audit.canonical import fingerprint
from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Denied, Exhausted, NotFound
from freehold.core.ids import NewId
from freehold.core.people import Invitation, Member, Person, PersonState, Role
from freehold.core.tenants import Caller, Tenant, TenantState
from freehold.store.people import People, invitation_by_hash
from freehold.store.platform import Platform
from freehold.store.scope import Scope
from freehold.tenants import members, people
from freehold.tenants.addresses import normal
from freehold.tenants.marks import genuine, mark_of
from freehold.tenants.offers import stands
from freehold.tenants.sealing import Seal
from freehold.tenants.sessions import hashed

MOST_OPEN: Final = 200
"""How many offers of one tenant may stand at once."""
MOST_AN_HOUR: Final = 60
"""How many a tenant may make within an hour: each is a mail to somebody who may not want it."""
_HOUR: Final = timedelta(hours=1)
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{43})(?:\.([0-9a-f]{64}))?")
_PERSONAL: Final = ("email", "hash", "seal")
_OVER: Final = {
    "used": ("This invitation was accepted already.", "Sign in: you are a member."),
    "revoked": ("This invitation was taken back.", "Ask whoever invited you for a new one."),
    "expired": ("This invitation has run out.", "Ask whoever invited you for a new one."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """An invitation that was just made, with what its links end in; told this once."""

    invitation: Invitation
    token: str
    """For the inviter: takes the place, and proves nothing about who takes it."""
    mailed: str
    """For the mail: whoever has it reads that address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a link offers."""

    invitation: Invitation
    tenant: Tenant
    proven: bool
    """Whether the link came by mail, so that whoever has it reads the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A place that was taken."""

    person: Person
    member: Member
    tenant: Tenant
    signs_in: bool
    """Whether they are to be signed in by it: they showed who they are, and were nobody here before."""


def invite(
    scope: Scope, *, email: str, role: Role, days: float, by: Caller, seal: Seal, ids: NewId, clock: Clock
) -> Invited:
    """
    Offer a place to an address, in place of an earlier offer to it; nothing tells whether the platform knows it.

    Raises `Invalid` (`bad_email`), `Denied` (`role_out_of_reach`), `Conflict` (`member_already`) or `Exhausted`
    (`too_many_invitations`).
    """
    address, at = normal(email), clock.now()
    members.require_reach(by, role, scope.tenant)
    _require_stranger(scope, address, seal=seal)
    _replace(scope, address, by=by, seal=seal, clock=clock)
    token = secrets.token_urlsafe(32)
    invitation = Invitation(
        id=ids("inv"),
        tenant=scope.tenant,
        email=address,
        role=role,
        created_at=at,
        expires_at=at + timedelta(days=days),
        invited_by=by.actor,
        hash=hashed(token),
    )
    invitation = replace(invitation, seal=mark_of(seal, invitation))
    scope.invitations.add(invitation)
    _note(scope, "member.invite", None, invitation, by=by.actor, at=at)
    return Invited(invitation=invitation, token=token, mailed=f"{token}.{_proof(seal, invitation)}")


def listed(scope: Scope, *, seal: Seal) -> list[Invitation]:
    """Return all offers that web made, oldest first; those that are over too."""
    return [one for one in scope.invitations.all() if genuine(seal, one)]


def revoke(scope: Scope, invitation: str, *, by: Caller, seal: Seal, clock: Clock) -> Invitation:
    """Take an offer back and return it; one that is over stays as it is. Raises `Denied` (`role_out_of_reach`)."""
    found = scope.invitations.get(invitation)
    if not genuine(seal, found):
        raise NotFound("There is no such invitation.", remedy="`freehold member invitations` shows those there are.")
    members.require_reach(by, found.role, scope.tenant)
    return _end(scope, found, by=by.actor, seal=seal, at=clock.now()) if found.open(clock.now()) else found


def end_all(scope: Scope, *, by: str, seal: Seal, clock: Clock) -> int:
    """Take back all that the tenant offers, and return how much that was."""
    at = clock.now()
    ending = [one for one in listed(scope, seal=seal) if one.open(at)]
    for one in ending:
        _end(scope, one, by=by, seal=seal, at=at)
    return len(ending)


def offer(platform: Platform, token: str, *, seal: Seal, at: datetime) -> Offer:
    """
    Return what the link with this token offers, without taking it.

    Raises `NotFound` where it offers nothing, `Conflict` (`invitation_used`, `invitation_revoked`,
    `invitation_expired`, `tenant_suspended`) where it did once, or does not now.
    """
    found = _TOKEN.fullmatch(token)
    invitation = invitation_by_hash(platform.connection, hashed(found[1])) if found else None
    if found is None or invitation is None or not genuine(seal, invitation):
        raise _nothing()
    proven = found[2] is not None
    if proven and not hmac.compare_digest(found[2], _proof(seal, invitation)):
        raise _nothing()
    tenant = platform.tenants.find(invitation.tenant)
    if tenant.state is TenantState.DELETED:
        raise _nothing()
    _require_open(invitation, tenant, at)
    if not stands(platform, invitation, seal=seal, at=at):
        raise _over("revoked")
    return Offer(invitation=invitation, tenant=tenant, proven=proven)


def accept(platform: Platform, token: str, *, person: Person | None, seal: Seal, ids: NewId, clock: Clock) -> Accepted:
    """
    Take the place that the link offers, all in this transaction: of two who try, one does.

    `person` is whoever is signed in; another address than the one invited is `Denied` (`other_address`). Without one,
    a link that came by mail makes whoever has the address a member, and known to the platform if nobody had it; any
    other is `Denied` (`sign_in_first`). Raises what `offer` does, and `Conflict` (`member_already`) or `Denied`
    (`quota_exceeded`, `tier_ended`).
    """
    at = clock.now()
    found = offer(platform, token, seal=seal, at=at)
    if person is None and not found.proven:
        raise Denied(
            "This link does not show who you are.",
            code="sign_in_first",
            remedy="Sign in with the address that was invited, and accept then.",
        )
    scope = Scope(platform.connection, found.tenant.id)
    new = platform.people.by_email(found.invitation.email) is None
    who = _whoever(platform, found.invitation, person, seal=seal, ids=ids, clock=clock)
    actor = f"person:{who.id}"
    member = members.join(scope, who, found.invitation.role, by=actor, seal=seal, ids=ids, clock=clock)
    used = replace(found.invitation, used_at=at)
    scope.invitations.save(replace(used, seal=mark_of(seal, used)))
    _note(scope, "invitation.accept", found.invitation, used, by=actor, at=at)
    return Accepted(person=who, member=member, tenant=found.tenant, signs_in=found.proven and new)


def introduce(platform: Platform, token: str, *, seal: Seal, ids: NewId, clock: Clock) -> None:
    """
    Let whoever has the address that is invited sign in, and take nothing; the same is told for every address.

    Raises what `offer` does.
    """
    found = offer(platform, token, seal=seal, at=clock.now()).invitation
    if platform.people.by_email(found.email) is None:
        _make_known(platform, found, seal=seal, ids=ids, clock=clock)


def _whoever(
    platform: Platform, invitation: Invitation, person: Person | None, *, seal: Seal, ids: NewId, clock: Clock
) -> Person:
    if person is not None and person.email != invitation.email:
        raise Denied(
            "This invitation is for another address than yours.",
            code="other_address",
            remedy="Sign out and follow the link again, or ask for an invitation of your own address.",
        )
    known = platform.people.by_email(invitation.email)
    if known is None:
        return _make_known(platform, invitation, seal=seal, ids=ids, clock=clock)
    if not genuine(seal, known) or known.state is not PersonState.ACTIVE:
        raise _over("revoked")  # that somebody is closed is not the inviter's to know
    return known


def _make_known(platform: Platform, invitation: Invitation, *, seal: Seal, ids: NewId, clock: Clock) -> Person:
    made = Person(id=ids("per"), email=invitation.email, created_at=clock.now())
    return people.add(platform, made, by=invitation.invited_by, seal=seal, clock=clock)


def _require_stranger(scope: Scope, address: str, *, seal: Seal) -> None:
    known = People(scope.connection).by_email(address)
    place = None if known is None else scope.members.of_person(known.id)
    if genuine(seal, place):
        raise Conflict("They are a member already.", code="member_already", remedy="Change their role instead.")


def _replace(scope: Scope, address: str, *, by: Caller, seal: Seal, clock: Clock) -> None:
    """End what was offered to the address before, and raise `Exhausted` where too much is on offer."""
    at, known = clock.now(), listed(scope, seal=seal)
    standing = [one for one in known if one.open(at)]
    for one in standing:
        if one.email == address:
            members.require_reach(by, one.role, scope.tenant)
            _end(scope, one, by=by.actor, seal=seal, at=at)
    late = sorted(one.created_at for one in known if one.created_at > at - _HOUR)
    if len(late) >= MOST_AN_HOUR:
        raise _too_many("hour", after=(late[-MOST_AN_HOUR] + _HOUR - at).total_seconds())
    if len(standing) >= MOST_OPEN:
        raise _too_many("time", after=0.0)


def _end(scope: Scope, found: Invitation, *, by: str, seal: Seal, at: datetime) -> Invitation:
    ended = replace(found, revoked_at=at)
    ended = replace(ended, seal=mark_of(seal, ended))
    scope.invitations.save(ended)
    _note(scope, "invitation.revoke", found, ended, by=by, at=at)
    return ended


def _proof(seal: Seal, invitation: Invitation) -> str:
    """Return what only the mail says."""
    return seal.mark("invitation by mail", id=invitation.id, email=invitation.email, hash=invitation.hash)


def _require_open(invitation: Invitation, tenant: Tenant, at: datetime) -> None:
    if not invitation.open(at):
        raise _over("revoked" if invitation.revoked_at else "used" if invitation.used_at else "expired")
    if tenant.state is TenantState.SUSPENDED:
        raise Conflict(
            "The tenant is suspended.", code="tenant_suspended", remedy="Try again later, or ask whoever invited you."
        )


def _over(why: str) -> Conflict:
    told, remedy = _OVER[why]
    return Conflict(told, code=f"invitation_{why}", remedy=remedy)


def _nothing() -> NotFound:
    return NotFound("There is no such invitation.", remedy="Check that the link is whole, or ask for a new one.")


def _too_many(span: str, *, after: float) -> Exhausted:
    return Exhausted(
        f"That would be too many invitations at one {span}.",
        after=after,
        code="too_many_invitations",
        remedy="Wait, or take back some that nobody has accepted.",
    )


def _note(scope: Scope, action: str, before: Invitation | None, after: Invitation, *, by: str, at: datetime) -> None:
    note(
        scope.connection,
        at=at,
        tenant=scope.tenant,
        actor=by,
        action=action,
        subject=after.id,
        detail={"role": after.role},
        personal={"email": after.email},
        before=fingerprint(before, *_PERSONAL),
        after=fingerprint(after, *_PERSONAL),
    )
