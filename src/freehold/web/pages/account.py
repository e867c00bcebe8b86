"""/account: who is signed in, where they belong, and the browsers they are signed in with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from freehold.core.ceremonies import Passkey
from freehold.core.people import MemberState, Person, PlatformRole, Role, Session
from freehold.store.platform import Platform
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
from freehold.web.state import State

router = APIRouter(include_in_schema=False)
GOODBYE: Final = "/sign-in?ended=1"

SessionId = Annotated[str, Path(max_length=80)]
PasskeyId = Annotated[str, Path(max_length=80)]
Ending = Callable[[Platform, Visitor], list[str]]


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
    await fields_of(request)
    visitor = await visitor_of(request, state)
    answer = see(GOODBYE)
    if visitor is not None and visitor.caller.session:
        await _end(state, visitor, _one(state, visitor.caller.session))
        cookies.sign_out(answer)
    return answer


@router.post("/account/sessions/end")
async def end_others(request: Request, state: TheState) -> Response:
    """End all sessions but that of this browser."""
    return await _ended(
        request,
        state,
        lambda platform, visitor: sessions.end_all(
            platform,
            visitor.person.id,
            by=visitor.caller.actor,
            clock=state.clock,
            but=visitor.caller.session or "",
        ),
    )


@router.post("/account/sessions/{session}/end")
async def end_one(request: Request, state: TheState, session: SessionId) -> Response:
    """End one session, wherever it is."""
    return await _ended(request, state, _one(state, session))


@router.post("/account/passkeys/{passkey}/remove")
async def remove_passkey(request: Request, state: TheState, passkey: PasskeyId) -> Response:
    """Forget a passkey."""
    await fields_of(request)
    visitor = await visitor_of(request, state)
    if visitor is None:
        return sign_in_first(request)
    await in_thread(_remove, state, visitor, passkey)
    return see(HOME)


async def _ended(request: Request, state: State, ending: Ending) -> Response:
    await fields_of(request)
    visitor = await visitor_of(request, state)
    if visitor is None:
        return sign_in_first(request)
    await _end(state, visitor, ending)
    return see(HOME)


def _one(state: State, session: str) -> Ending:
    """Return what ends one session of the visitor."""
    return lambda platform, visitor: sessions.end(
        platform, visitor.person.id, session, by=visitor.caller.actor, clock=state.clock
    )


async def _end(state: State, visitor: Visitor, ending: Ending) -> None:
    """End sessions for good; once this returns, what was open under them is closed too."""
    await in_thread(_write, state, visitor, ending)


def _write(state: State, visitor: Visitor, ending: Ending) -> list[str]:
    with state.store.write() as platform:
        return ending(platform, visitor)


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
