"""
Sign-in by a provider: the browser is sent there, comes back, and is signed in here.

Web never sees a token or the client secret: it hands the code to the gateway and is told who came. What the browser
was given on its way out comes back once, in time, in the same browser, or the code is not even looked at.
"""

import base64
import hashlib
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from freehold.audit.asking import Asking, asking
from freehold.audit.database import note
from freehold.core.ceremonies import Ceremony, CeremonyKind, Claims
from freehold.core.errors import Denied, Invalid
from freehold.core.people import SignIn
from freehold.store.threads import in_thread
from freehold.tenants import sessions
from freehold.tenants.ceremonies import begin, derived, finish
from freehold.tenants.groups import read
from freehold.tenants.sessions import Browser, Opened
from freehold.tenants.single_sign_on import ACTOR, Desk, come_in, refused, whose
from freehold.web import cookies
from freehold.web.access import TheState
from freehold.web.pages.forms import local, see
from freehold.web.state import State

router = APIRouter(include_in_schema=False)

BEGIN: Final = "/login/oidc"
BACK: Final = "/login/oidc/callback"
AFTER: Final = "/sign-in"
"""Where people come to who signed out at the provider; it must know this address too."""
LONGEST: Final = 4096
_SKEW: Final = 60

Word = Annotated[str, Query(max_length=LONGEST)]


@router.get(BEGIN)
async def go(request: Request, state: TheState, next: Word = "") -> Response:  # noqa: A002 - the word of the address
    """Send the browser to the provider."""
    _offered(state)
    browser = cookies.browser_of(request)
    text = await in_thread(_begun, state, browser, local(next))
    verifier = derived(state.seal, "verifier", text)
    address = await state.gateway.oidc_start(
        state=text,
        nonce=derived(state.seal, "nonce", text),
        challenge=base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        redirect_uri=back_to(state),
    )
    # A provider sees no more of us than the origin it knows; where somebody wanted to go is none of its business.
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "origin"}
    response = RedirectResponse(address, status_code=302, headers=headers)
    cookies.keep(response, browser)
    return response


@router.get(BACK)
async def come_back(
    request: Request,
    state: TheState,
    code: Word = "",
    error: Word = "",
    iss: Annotated[str | None, Query(max_length=LONGEST)] = None,
    shown: Annotated[str, Query(alias="state", max_length=LONGEST)] = "",
) -> Response:
    """Sign in whoever comes back from the provider."""
    _offered(state)
    browser = cookies.browser_of(request)
    asking.set(Asking(asking.get().request, str(SignIn.OIDC)))
    try:
        begun = await in_thread(_finished, state, browser, shown)
        claims = await _claims(state, shown, code=code, error=error, issuer=iss)
        opened = await in_thread(_entered, state, browser, claims)
    except Denied as refusal:
        await in_thread(_note_refusal, state, refusal)
        raise
    state.streams.end(sessions=opened.left)
    response = see(local(begun.next))
    cookies.sign_in(response, opened)
    return response


@router.get("/login/oidc/leave")
async def leave(state: TheState) -> Response:
    """Lead a browser that signed out here to where it signs out of the provider; it ends nothing by itself."""
    _offered(state)
    return see(await state.gateway.oidc_goodbye(redirect_uri=state.settings.base_url + AFTER) or AFTER)


@router.post("/login/oidc/ended")
async def ended(request: Request, state: TheState) -> Response:
    """End the sessions of somebody who signed out at the provider, when it says so itself."""
    _offered(state)
    body = await request.body()
    try:
        token = dict(parse_qsl(body[: 2 * LONGEST].decode(), max_num_fields=5))["logout_token"]
        subject, at = await state.gateway.oidc_ended(token)
    except (ValueError, KeyError) as error:
        raise _no_goodbye() from error
    except Denied as error:
        raise _no_goodbye() from error
    await in_thread(_end, state, subject, at)
    return Response(status_code=200, headers={"Cache-Control": "no-store"})


def back_to(state: State) -> str:
    """Return the one address that the provider may send people back to."""
    return state.settings.base_url + BACK


async def _claims(state: State, shown: str, *, code: str, error: str, issuer: str | None) -> Claims:
    if error or not code:
        raise refused("The provider did not let you in.")
    return await state.gateway.oidc_exchange(
        code=code,
        verifier=derived(state.seal, "verifier", shown),
        nonce=derived(state.seal, "nonce", shown),
        redirect_uri=back_to(state),
        issuer=issuer,
    )


def _begun(state: State, browser: Browser, place: str) -> str:
    with state.store.write() as platform:
        return begin(
            platform.connection,
            CeremonyKind.OIDC,
            browser=browser.nonce,
            seal=state.seal,
            at=state.clock.now(),
            next=place,
        )


def _finished(state: State, browser: Browser, shown: str) -> Ceremony:
    with state.store.write() as platform:
        found = finish(
            platform.connection,
            CeremonyKind.OIDC,
            shown,
            browser=browser.nonce,
            seal=state.seal,
            at=state.clock.now(),
        )
    if found is None:
        raise refused("It was not begun in this browser, or too long ago, or it came back before.")
    return found


def _entered(state: State, browser: Browser, claims: Claims) -> Opened:
    with state.store.write() as platform:
        desk = Desk(
            platform=platform,
            groups=read(state.settings.oidc_groups),
            seal=state.seal,
            ids=state.ids,
            clock=state.clock,
        )
        person = come_in(desk, claims)
        return sessions.open(
            platform, person, way=SignIn.OIDC, browser=browser, seal=state.seal, ids=state.ids, clock=state.clock
        )


def _end(state: State, subject: str, at: int) -> None:
    """End the sessions that were there when the provider said so: a token that is sent again ends nothing new."""
    with state.store.write() as platform:
        issuer, seal = state.settings.oidc_issuer, state.seal
        person = whose(platform, issuer=issuer, subject=subject, seal=seal)
        theirs = (one for one in platform.sessions.of(person) if one.way is SignIn.OIDC)
        ending = [one.id for one in theirs if one.created_at.timestamp() <= at + _SKEW]
        for session in ending:
            sessions.end(platform, person, session, by=ACTOR, clock=state.clock)
    state.streams.end(sessions=ending)


def _note_refusal(state: State, refusal: Denied) -> None:
    with state.store.write() as platform:
        note(
            platform.connection,
            at=state.clock.now(),
            tenant=None,
            actor=ACTOR,
            action="person.sign_in_failed",
            subject=ACTOR,
            detail={"reason": refusal.message},
            verdict="deny",
        )


def _offered(state: State) -> None:
    if not state.settings.oidc_issuer:
        raise Invalid(
            "This platform has no sign-in provider.",
            code="no_oidc",
            status=404,
            remedy="Sign in with a code that is mailed to you.",
        )


def _no_goodbye() -> Invalid:
    return Invalid(
        "This is no logout token for us.",
        code="bad_logout_token",
        status=400,
        remedy="Send the provider's signed logout token as the form's logout_token.",
    )
