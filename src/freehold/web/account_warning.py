"""
Telling people that an account which a connection uses ran out, or will and cannot be prolonged.

The gateway tells it until it hears that people know. Its owners are told, and whoever connected it: once each, for a
mail goes out once per key whatever dies in between.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from freehold.core.errors import NotFound
from freehold.core.people import MemberState, Person, PersonState, PlatformRole, Role
from freehold.core.tenants import Tenant
from freehold.store.platform import Platform
from freehold.store.threads import in_thread
from freehold.tenants.marks import genuine
from freehold.tenants.members import places
from freehold.web.connect_links import MAILED
from freehold.web.mailing import Mail, go_out, mail, said
from freehold.web.sign_ins import address_of
from freehold.web.state import State
from freehold.web.views import told_moment

EXPIRED: Final = "expired"
LONGEST: Final = 100
"""Letters of an account's name."""


async def warn_of_accounts(state: State) -> None:
    """Tell people of the accounts that the gateway has something to say about."""
    for warning in await state.gateway.sign_in_warnings():
        for one in await in_thread(_mails, state, warning):
            await go_out(state.gateway, one)
        await state.gateway.acked([warning["id"]])


def _mails(state: State, warning: dict[str, Any]) -> Sequence[Mail]:
    try:
        told = _of_platform(state) if warning["tenant"] is None else _of_tenant(state, warning)
    except NotFound:
        return []  # the tenant is gone since
    tenant, people = told
    return [_mail(state, person, tenant, warning) for person in {person.id: person for person in people}.values()]


def _of_tenant(state: State, warning: dict[str, Any]) -> tuple[Tenant, list[Person]]:
    """Return the tenant, and who of it is told: its owners, and whoever connected the account and still belongs."""

    def told(role: Role, person: str) -> bool:
        return role is Role.OWNER or warning["connected_by"] == f"person:{person}"

    with state.store.tenant(warning["tenant"]).read() as scope:
        tenant = Platform(scope.connection).tenants.find(warning["tenant"])
        people = [
            place.person
            for place in places(scope, seal=state.seal)
            if place.member.state is MemberState.ACTIVE and told(place.member.role, place.person.id)
        ]
    return tenant, [person for person in people if person.state is PersonState.ACTIVE]


def _of_platform(state: State) -> tuple[None, list[Person]]:
    with state.store.read() as platform:
        operators = platform.people.with_platform_role(PlatformRole.OPERATOR)
    return None, list(_active(state, operators))


def _active(state: State, people: Iterator[Person] | Sequence[Person]) -> Iterator[Person]:
    return (person for person in people if person.state is PersonState.ACTIVE and genuine(state.seal, person))


def _mail(state: State, person: Person, tenant: Tenant | None, warning: dict[str, Any]) -> Mail:
    connection, ends = warning["connection"], told_moment(warning["expires_at"])
    account = " ".join(warning["account"].split())[:LONGEST]  # the provider's words, on one line of ours
    return mail(
        "account_expired" if warning["what"] == EXPIRED else "account_expires",
        key=f"account/{warning['id']}/{person.id}",
        to=person.email,
        language=person.language,
        tenant=(tenant.name or tenant.slug) if tenant else said(person.language, "accounts", "platform"),
        connection=connection,
        account=f" ({account})" if account else "",
        when=_day(ends) if isinstance(ends, str) else "",
        where=f"--tenant {tenant.slug}" if tenant else "--platform",
        link=address_of(state, warning["tenant"], connection, by="", lasting=MAILED),
    )


def _day(told: str) -> str:
    return f"{datetime.fromisoformat(told).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
