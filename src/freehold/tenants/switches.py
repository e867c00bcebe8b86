"""The kill switch that takes all access away: sessions, keys and offers, of one tenant's people or of everybody."""

from dataclasses import dataclass

from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.tenants import Caller
from freehold.store.people import Members, tenants_inviting
from freehold.store.platform import Platform
from freehold.store.scope import Scope
from freehold.tenants import inviting, sessions
from freehold.tenants.living import revoke_keys
from freehold.tenants.sealing import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """What was put out of force."""

    sessions: tuple[str, ...]
    keys: tuple[str, ...]


def revoke_access(
    platform: Platform, tenant: str | None, *, caller: Caller, keep_mine: bool, seal: Seal, clock: Clock
) -> Revoked:
    """
    End the sessions of everybody who is a member of `tenant`, revoke its keys and what it offers; without one, all.

    A session is not of one tenant, so whoever is a member of others is signed out there too. The key of the operator
    lies in no database and stays. `keep_mine` leaves the session or key by which this is asked.
    """
    by = caller.actor
    session, key = (caller.session or "", caller.key or "") if keep_mine else ("", "")
    people = _members(platform, tenant) if tenant is not None else platform.sessions.whose()
    ended = [one for person in people for one in sessions.end_all(platform, person, by=by, clock=clock, but=session)]
    tenants = [tenant] if tenant is not None else platform.keys.whose()
    revoked = [one for whose in tenants for one in revoke_keys(platform, whose, by=by, seal=seal, clock=clock, but=key)]
    inviting_now = [tenant] if tenant is not None else tenants_inviting(platform.connection)
    scopes = (Scope(platform.connection, one) for one in inviting_now)
    offers = sum(inviting.end_all(scope, by=by, seal=seal, clock=clock) for scope in scopes)
    note(
        platform.connection,
        at=clock.now(),
        tenant=tenant,
        actor=by,
        action="access.revoke",
        subject=tenant or "platform",
        detail={"sessions": len(ended), "keys": len(revoked), "invitations": offers},
    )
    return Revoked(sessions=tuple(ended), keys=tuple(revoked))


def _members(platform: Platform, tenant: str) -> list[str]:
    return [member.person for member in Members(platform.connection, tenant).all()]
