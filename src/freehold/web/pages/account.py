"""/account: who is signed in, where they belong, and the browsers they are signed in with."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from freehold.core.people import MemberState, Role, Session
from freehold.store.threads import in_thread
from freehold.tenants.marks import genuine
from freehold.web.access import TheState
from freehold.web.pages.forms import HOME, fields_of, see, sign_in_first
from freehold.web.pages.rendering import page
from freehold.web.pages.visiting import Visitor, visitor_of
from freehold.web.state import State

router = APIRouter(include_in_schema=False)

SessionId = Annotated[str, Path(max_length=80)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A tenant somebody belongs to."""

    name: str
    role: Role
    held: bool
    """Whether the role may be used: a suspended member keeps it and may do nothing."""


@router.get("/")
async def start() -> Response:  # async: nothing to wait for
    """Lead to the account, until there is more to see here."""
    return see(HOME)


@router.get(HOME)
async def show(request: Request, state: TheState) -> Response:
    """Show people what the platform knows about them."""
    visitor = await visitor_of(request, state)
    if visitor is None:
        return sign_in_first(request)
    places, sessions = await in_thread(_belongings, state, visitor)
    return page(
        request,
        "account.html",
        visitor.words,
        person=visitor.person,
        way=visitor.caller.way,
        places=places,
        sessions=sessions,
        current=visitor.caller.session,
        passkeys=None,
    )


def _belongings(state: State, visitor: Visitor) -> tuple[list[Place], list[Session]]:
    person = visitor.person.id
    with state.store.read() as platform:
        members = [member for member in platform.people.places(person) if genuine(state.seal, member)]
        tenants = [platform.tenants.find(member.tenant) for member in members]
        sessions = platform.sessions.of(person)
    places = [
        Place(name=tenant.name or tenant.slug, role=member.role, held=member.state is MemberState.ACTIVE)
        for member, tenant in zip(members, tenants, strict=True)
    ]
    return sorted(places, key=lambda place: place.name.casefold()), sessions
