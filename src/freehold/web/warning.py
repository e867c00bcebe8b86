"""
Telling people that a limit was neared, or is reached: a tenant's owners and admins, of the operator's limits operators too.

The gateway notes each mark once, and sends a mail once per key; so whoever begins anew asks for the last days again,
and nobody is told twice. What is for each run is shown and not mailed: there may be many, and an attended one asks.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from freehold.core.errors import NotFound
from freehold.core.money import NANO, BudgetScope
from freehold.core.people import MemberState, Person, PersonState, PlatformRole, Role
from freehold.core.tenants import Tenant
from freehold.store.platform import Platform
from freehold.store.scope import Scope
from freehold.store.threads import in_thread
from freehold.tenants.marks import genuine
from freehold.tenants.members import places
from freehold.web.mailing import Mail, go_out, mail, said
from freehold.web.state import State

BACK: Final = timedelta(days=2)
"""How far back somebody looks who does not know what was told before."""
REACHED: Final = 100
CENT: Final = NANO // 100
_RUN_A_TENANT: Final = frozenset({Role.OWNER, Role.ADMIN})
_OPERATORS: Final = frozenset({BudgetScope.TIER, BudgetScope.CREDIT})


def since(at: datetime) -> str:
    """Return an id in front of all warnings that are to be told at `at` by whoever begins anew."""
    return f"wrn_{round((at - BACK).timestamp() * 1000) << 80:032x}"


async def warn(state: State, *, after: str) -> str:
    """Tell people of what was noted behind the warning `after`, and return the newest."""
    while found := await state.gateway.warnings(after):
        for warning in _highest(found):
            for one in await in_thread(_mails, state, warning):
                await go_out(state.gateway, one)
        after = str(found[-1]["id"])
    return after


def _highest(found: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Leave out runs, and marks that were passed together with a higher one of the same limit."""
    names = ("tenant", "scope", "subject", "period", "window")
    newest = {tuple(warning[name] for name in names): warning["id"] for warning in found}
    for warning in found:
        if warning["scope"] != BudgetScope.RUN and newest[tuple(warning[name] for name in names)] == warning["id"]:
            yield warning


def _mails(state: State, warning: dict[str, Any]) -> list[Mail]:
    try:
        with state.store.tenant(warning["tenant"]).read() as scope:
            tenant = Platform(scope.connection).tenants.find(warning["tenant"])
            told = {person.id: person for person in _told(state, scope, warning)}
            named = _named(scope, warning)
    except NotFound:
        return []  # it is gone since
    return [_mail(person, tenant, warning, named) for person in told.values()]


def _told(state: State, scope: Scope, warning: dict[str, Any]) -> Iterator[Person]:
    for place in places(scope, seal=state.seal):
        active = place.member.state is MemberState.ACTIVE and place.person.state is PersonState.ACTIVE
        if active and place.member.role in _RUN_A_TENANT:
            yield place.person
    if warning["scope"] in _OPERATORS:
        for person in Platform(scope.connection).people.with_platform_role(PlatformRole.OPERATOR):
            if person.state is PersonState.ACTIVE and genuine(state.seal, person):
                yield person


def _named(scope: Scope, warning: dict[str, Any]) -> str:
    """Return whose limit it is as people say it."""
    subject = str(warning["subject"])
    if warning["scope"] != BudgetScope.AGENT:
        return subject
    try:
        return scope.agents.find(subject).name
    except NotFound:
        return subject


def _mail(person: Person, tenant: Tenant, warning: dict[str, Any], named: str) -> Mail:
    def word(name: str) -> str:
        return said(person.language, "limits", name).format(subject=named)

    reached = warning["percent"] >= REACHED
    return mail(
        "warning",
        key=f"warning/{warning['id']}/{person.id}",
        to=person.email,
        language=person.language,
        tenant=tenant.name or tenant.slug,
        slug=tenant.slug,
        percent=warning["percent"],
        what=word(warning["scope"]),
        when=word(warning["period"]),
        spent=_dollars(warning["spent_nano"], word("point")),
        limit=_dollars(warning["limit_nano"], word("point")),
        then=word("reached" if reached else "neared"),
    )


def _dollars(nano: int, point: str) -> str:
    """Return an amount as people read it; what is less than a cent with the places that it takes."""
    usd = nano / NANO
    return (f"{usd:.2f}" if nano >= CENT or not nano else f"{usd:.9f}".rstrip("0")).replace(".", point)
