"""Signing in with a code: the same answer for every address, whether anybody here has it or not."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from freehold.tenants.sessions import Opened
from freehold.web import cookies, signing_in
from freehold.web.access import TheState
from freehold.web.views import Asked, Moment

router = APIRouter(tags=["signing in"])

Email = Annotated[str, Field(min_length=1, max_length=500, description="An e-mail address, however it is typed.")]
NOTE = "If this address can sign in here, a code is on its way to it. It holds for 10 minutes, in this browser."


class Whom(Asked):
    """Who wants to sign in."""

    email: Email


class Shown(Asked):
    """What somebody signs in with."""

    email: Email
    code: str = Field(min_length=1, max_length=40)
    """The eight digits that were mailed; spaces between them do not count."""


class Claiming(Asked):
    """What claims an installation, and who does."""

    token: str = Field(min_length=1, max_length=200)
    """What the link shows that `freehold up` printed."""
    email: Email
    name: str = Field(default="", max_length=200)


class SentView(BaseModel):
    """What everybody is told who asks for a code."""

    sent: Literal[True] = True
    note: str = NOTE


class WhoView(BaseModel):
    """Who signed in."""

    id: str
    email: str
    name: str


class SignedInView(BaseModel):
    """A fresh session; the cookie that shows it comes with the answer."""

    session: str
    person: WhoView
    way: str
    expires_at: Moment
    """When it ends however busy it is."""


@router.post("/login/code", status_code=202, response_model=SentView)
async def ask_for_code(request: Request, state: TheState, body: Whom) -> JSONResponse:
    """Mail a code to the address, if it can sign in here."""
    browser = cookies.browser_of(request)
    sending = await signing_in.send_code(state, body.email, browser)
    answer = JSONResponse(SentView().model_dump(), status_code=202, background=sending)
    cookies.keep(answer, browser)
    return answer


@router.post("/login", response_model=SignedInView)
async def sign_in(request: Request, state: TheState, body: Shown) -> JSONResponse:
    """Sign in with the code that was mailed, in the browser that asked for it."""
    opened = await signing_in.sign_in(state, body.email, body.code, cookies.browser_of(request))
    return welcome(opened)


@router.post("/claim", response_model=SignedInView)
async def claim(request: Request, state: TheState, body: Claiming) -> JSONResponse:
    """Become the first operator of an installation that nobody has claimed yet."""
    opened = await signing_in.claim(
        state, token=body.token, email=body.email, name=body.name, browser=cookies.browser_of(request)
    )
    return welcome(opened)


def welcome(opened: Opened) -> JSONResponse:
    """Return the answer to whoever signed in, with the cookie."""
    person = WhoView(id=opened.person.id, email=opened.person.email, name=opened.person.name)
    view = SignedInView(
        session=opened.session.id, person=person, way=str(opened.session.way), expires_at=opened.session.expires_at
    )
    answer = JSONResponse(view.model_dump(mode="json"))
    cookies.sign_in(answer, opened)
    return answer
