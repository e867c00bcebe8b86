"""Provisioners: people who create tenants of their own, as many as their allowance says, without being operators."""

from typing import Final

from sqlalchemy import func, select

from freehold.core.clock import Clock
from freehold.core.errors import Denied
from freehold.core.ids import NewId
from freehold.core.people import Member, Person, PersonState, PlatformRole, Role
from freehold.core.tenants import Caller, Tenant, TenantState
from freehold.store.platform import Platform
from freehold.store.scope import Scope
from freehold.store.tenants import tenant_table
from freehold.tenants.marks import genuine
from freehold.tenants.members import join
from freehold.tenants.sealing import Seal

SCOPE: Final = "provisioning:write"
QUOTA: Final = "tenants"
_EVERYTHING: Final = "platform:admin"
_MOST_HANDS: Final = 20
"""Through how many keys, each made by the one before, somebody is looked for who answers for the last."""


def admit(platform: Platform, caller: Caller, *, seal: Seal) -> Person | None:
    """
    Return whose allowance the next tenant uses up, in the transaction that creates it; nobody's: an operator's.

    Raises `Denied`: `missing_scope`, or `quota_exceeded` with quota, limit and used beside.
    """
    if caller.may(_EVERYTHING):
        return None
    if not caller.may(SCOPE):
        raise _nobody()
    person = _answering(platform, caller, seal=seal)
    if person is None or person.platform_role is PlatformRole.OPERATOR:
        return None
    used = _created(platform, person.id)
    if used >= person.allowance:
        raise _used_up(person.allowance, used)
    return person


def own(platform: Platform, tenant: Tenant, person: Person, *, seal: Seal, ids: NewId, clock: Clock) -> Member:
    """Make the person who created the tenant its owner."""
    scope = Scope(platform.connection, tenant.id)
    return join(scope, person, Role.OWNER, by=f"person:{person.id}", seal=seal, ids=ids, clock=clock)


def _answering(platform: Platform, caller: Caller, *, seal: Seal) -> Person | None:
    """Return the person who asks, or who made the key that asks; None where that is the operator's own key."""
    actor = caller.actor
    for _ in range(_MOST_HANDS):
        kind, _, name = actor.partition(":")
        if kind == "person":
            found = platform.people.find(name)
            if found is None or not genuine(seal, found) or found.state is not PersonState.ACTIVE:
                break
            return found
        if kind != "key":
            return None
        key = platform.keys.find(name)
        if key is None or not genuine(seal, key):
            break
        actor = key.created_by
    raise _nobody()


def _created(platform: Platform, person: str) -> int:
    query = select(func.count()).where(tenant_table.c.created_by == person, tenant_table.c.state != TenantState.DELETED)
    return int(platform.connection.execute(query).scalar_one())


def _nobody() -> Denied:
    return Denied("You may create no tenants.", code="missing_scope", remedy="Ask an operator for an allowance.")


def _used_up(limit: int, used: int) -> Denied:
    error = Denied(
        f"The allowance of tenants is used up: {used} of {limit}.",
        code="quota_exceeded",
        remedy="Delete a tenant, or ask an operator for a larger allowance.",
    )
    error.facts = {"quota": QUOTA, "limit": limit, "used": used}
    return error
