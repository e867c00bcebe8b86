"""
/invite/{token}: a place in a tenant that somebody offers.

Looking takes nothing: programs that check links in mails follow them. Taking the place is a button. A link that came
by mail shows that whoever has it reads that address; with one that was passed on, people sign in first.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from freehold.core.errors import Conflict, NotFound
from freehold.core.people import SignIn
from freehold.store.threads import in_thread
from freehold.tenants import inviting, sessions
from freehold.tenants.inviting import Offer
from freehold.tenants.sessions import Browser, Opened
from freehold.web import cookies
from freehold.web.access import TheState
from freehold.web.pages.forms import HOME, fields_of, see
from freehold.web.pages.rendering import page, words_for
from freehold.web.pages.visiting import Visitor, visitor_of
from freehold.web.pages.words import Words
from freehold.web.state import State

router = APIRouter(include_in_schema=False)
JOINED: Final = "/sign-in?joined=1"
FIRST: Final = "/sign-in?next=/invite/{token}&invited=1"

Token = Annotated[str, Path(max_length=200)]


@router.get("/invite/{token}")
async def show(request: Request, state: TheState, token: Token) -> Response:
    """Show what is offered, and by whom."""
    visitor = await visitor_of(request, state)
    words = visitor.words if visitor else words_for(request.headers)
    try:
        offer, by = await in_thread(_offer, state, token)
    except (Conflict, NotFound) as error:
        return _over(request, words, error)
    return page(
        request,
        "invite.html",
        words,
        tenant=offer.tenant.name or offer.tenant.slug,
        invitation=offer.invitation,
        by=by,
        token=token,
        signs_in=offer.proven and visitor is None,
    )


@router.post("/invite/{token}")
async def accept(request: Request, state: TheState, token: Token) -> Response:
    """Take the place, once the link or a session shows who they are; the link may sign them in too."""
    await fields_of(request)
    visitor = await visitor_of(request, state)
    words = visitor.words if visitor else words_for(request.headers)
    try:
        if visitor is None and not await in_thread(_proves, state, token):
            return see(FIRST.format(token=token))
        opened = await in_thread(_accept, state, token, visitor, cookies.browser_of(request))
    except (Conflict, NotFound) as error:
        return _over(request, words, error)
    answer = see(HOME if visitor or opened else JOINED)
    if opened is not None:
        cookies.sign_in(answer, opened)
        state.streams.end(sessions=opened.left)
    return answer


def _offer(state: State, token: str) -> tuple[Offer, str]:
    """Return the offer, and who makes it as people say it; empty where no person does."""
    with state.store.read() as platform:
        offer = inviting.offer(platform, token, seal=state.seal, at=state.clock.now())
        kind, _, which = offer.invitation.invited_by.partition(":")
        person = platform.people.find(which) if kind == "person" else None
    return offer, (person.name or person.email) if person else ""


def _proves(state: State, token: str) -> bool:
    """Return whether the link shows who follows it; if not, let the address it is for sign in."""
    with state.store.write() as platform:
        if inviting.offer(platform, token, seal=state.seal, at=state.clock.now()).proven:
            return True
        inviting.introduce(platform, token, seal=state.seal, ids=state.ids, clock=state.clock)
        return False


def _accept(state: State, token: str, visitor: Visitor | None, browser: Browser) -> Opened | None:
    """Take the place; return the session of whoever was signed in by that."""
    person = visitor.person if visitor else None
    with state.store.write() as platform:
        taken = inviting.accept(platform, token, person=person, seal=state.seal, ids=state.ids, clock=state.clock)
        if visitor is not None or not taken.signs_in:
            return None
        return sessions.open(
            platform,
            taken.person,
            way=SignIn.CODE,
            browser=browser,
            seal=state.seal,
            ids=state.ids,
            clock=state.clock,
        )


def _over(request: Request, words: Words, error: Conflict | NotFound) -> Response:
    name = f"invite.{error.code.removeprefix('invitation_')}"
    return page(
        request,
        "told.html",
        words,
        status=error.status,
        title=words("invite.dead_title"),
        lines=[words(name if words.has(name) else "invite.dead")],
        way_on={"href": "/sign-in", "text": words("error.sign_in")},
        number="",
    )
