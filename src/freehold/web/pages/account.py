"""/account: who is signed in, where they belong, and the browsers they are signed in with."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from freehold.core.ceremonies import Passkey
from freehold.core.people import MemberState, Person, PlatformRole, Role, Session
from freehold.store.threads import in_thread
from freehold.tenants import passkeys, sessions
from freehold.tenants.devices import party_of
from freehold.tenants.marks import genuine
from freehold.web import cookies
from freehold.web.access import TheState
from freehold.web.pages.browsers import known_as
from freehold.web.pages.forms import HOME, fields_of, see, sign_in_first
from freehold.web.pages.rendering import page
from freehold.web.pages.visiting import Visitor, visitor_of
from freehold.web.sessions import end, end_all
from freehold.web.state import State

router = APIRouter(include_in_schema=False)
SIGN_IN: Final = f"/sign-in?next={HOME}"
GOODBYE: Final = "/sign-in?ended=1"

SessionId = Annotated[str, Path(max_length=80)]
PasskeyId = Annotated[str, Path(max_length=80)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A tenant somebody belongs to."""

    name: str
    role: Role
    held: bool
    """Whether the role may be used: a suspended member keeps it and may do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """What is somebody's own."""

    places: list[Place]
    sessions: list[Session]
    passkeys: list[Passkey]


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
    found = await in_thread(_belongings, state, visitor)
    possible = party_of(state.settings.base_url) is not None
    return page(
        request,
        "account.html",
        visitor.words,
        script=possible,
        person=visitor.person,
        way=visitor.caller.way,
        places=found.places,
        sessions=found.sessions,
        current=visitor.caller.session,
        passkeys=found.passkeys if possible else None,
        known_as=known_as,
    )


@router.post("/sign-out")
async def sign_out(request: Request, state: TheState) -> Response:
    """End the session of this browser."""
    visitor = await _sender(request, state)
    answer = see(GOODBYE)
    if visitor is not None and visitor.caller.session:
        await in_thread(end, state, visitor.person.id, visitor.caller.session, by=visitor.caller.actor)
        cookies.sign_out(answer)
    return answer


@router.post("/account/sessions/end")
async def end_others(request: Request, state: TheState) -> Response:
    """End all sessions but that of this browser."""
    visitor = await _sender(request, state)
    if visitor is None:
        return see(SIGN_IN)
    caller = visitor.caller
    await in_thread(end_all, state, visitor.person.id, by=caller.actor, but=caller.session or "")
    return see(HOME)


@router.post("/account/sessions/{session}/end")
async def end_one(request: Request, state: TheState, session: SessionId) -> Response:
    """End one session, wherever it is."""
    visitor = await _sender(request, state)
    if visitor is None:
        return see(SIGN_IN)
    await in_thread(end, state, visitor.person.id, session, by=visitor.caller.actor)
    return see(HOME)


@router.post("/account/passkeys/{passkey}/remove")
async def remove_passkey(request: Request, state: TheState, passkey: PasskeyId) -> Response:
    """Forget a passkey."""
    visitor = await _sender(request, state)
    if visitor is None:
        return see(SIGN_IN)
    await in_thread(_remove, state, visitor, passkey)
    return see(HOME)


async def _sender(request: Request, state: State) -> Visitor | None:
    """Return who sent a form; what they come back to is their account, so no way back is kept."""
    await fields_of(request)
    return await visitor_of(request, state)


def _remove(state: State, visitor: Visitor, passkey: str) -> None:
    person = visitor.person
    with state.store.write() as platform:
        held = sessions.of(platform, person.id, seal=state.seal, at=state.clock.now())
        strong = any(one.strong for one in held if one.id == visitor.caller.session)
        passkeys.remove(
            platform, person, passkey, strong=strong, needed=_needed(state, person), seal=state.seal, clock=state.clock
        )


def _needed(state: State, person: Person) -> bool:
    """Return whether somebody may not be without a passkey."""
    return state.known.operator_passkey and person.platform_role is PlatformRole.OPERATOR


def _belongings(state: State, visitor: Visitor) -> Belongings:
    person = visitor.person.id
    with state.store.read() as platform:
        members = [member for member in platform.people.places(person) if genuine(state.seal, member)]
        tenants = [platform.tenants.find(member.tenant) for member in members]
        held = sessions.of(platform, person, seal=state.seal, at=state.clock.now())
        mine = passkeys.of(platform.connection, person, seal=state.seal)
    places = [
        Place(name=tenant.name or tenant.slug, role=member.role, held=member.state is MemberState.ACTIVE)
        for member, tenant in zip(members, tenants, strict=True)
    ]
    places.sort(key=lambda place: place.name.casefold())
    return Belongings(places=places, sessions=held, passkeys=mine)
