"""/sign-in: an address, then the code that was mailed to it; or another way, where the platform has one."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.core.errors import Denied, Invalid
from freehold.settings import Settings
from freehold.tenants.addresses import normal
from freehold.tenants.devices import party_of
from freehold.web import cookies
from freehold.web import signing_in as acts
from freehold.web.access import TheState
from freehold.web.pages.forms import fields_of, local, see
from freehold.web.pages.rendering import page, words_for
from freehold.web.pages.words import Words
from freehold.web.state import State

router = APIRouter(include_in_schema=False)
NOTES = ("ended", "joined", "invited")
"""What may have happened just before."""
REFUSED = 401
UNFIT = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways to sign in besides a code."""

    oidc: str
    """What people call the provider; empty where there is none."""
    passkey: bool


@router.get("/sign-in")
async def show(request: Request, state: TheState) -> Response:
    """Ask for an address."""
    asked = request.query_params
    note = next((note for note in NOTES if note in asked), "")
    return _address(request, state, next=local(asked.get("next", "")), note=note)


@router.post("/sign-in")
async def send(request: Request, state: TheState) -> Response:
    """Send a code, and ask for it; what this says is the same for every address."""
    form, words = await fields_of(request), words_for(request.headers)
    to = local(form.get("next", ""))
    try:
        email = normal(form.get("email", ""))
    except Invalid:
        fault = words("problem.bad_email" if form.get("email") else "problem.missing")
        return _address(request, state, next=to, email=form.get("email", ""), fault=fault, status=UNFIT)
    browser = cookies.browser_of(request)
    sending = await acts.send_code(state, email, browser)
    no_mail = await acts.without_mail(state)
    answer = _code(request, words, email=email, next=to, no_mail=no_mail)
    answer.background = sending
    cookies.keep(answer, browser)
    return answer


@router.post("/sign-in/code")
async def sign_in(request: Request, state: TheState) -> Response:
    """Let whoever shows the right code in, and say of any other only that it is not right."""
    form, words = await fields_of(request), words_for(request.headers)
    to, email = local(form.get("next", "")), form.get("email", "")
    try:
        opened = await acts.sign_in(state, email, form.get("code", ""), cookies.browser_of(request))
    except (Denied, Invalid):
        return _code(request, words, email=email, next=to, fault=words("code.wrong"), status=REFUSED)
    answer = see(to)
    cookies.sign_in(answer, opened)
    return answer


def ways_of(settings: Settings) -> Ways:
    """Return the ways that `settings` open."""
    return Ways(
        oidc=settings.oidc_name if settings.oidc_issuer else "", passkey=party_of(settings.base_url) is not None
    )


def _address(
    request: Request,
    state: State,
    *,
    next: str,  # noqa: A002 - what the address calls it
    email: str = "",
    fault: str = "",
    note: str = "",
    status: int = 200,
) -> Response:
    ways = ways_of(state.settings)
    return page(
        request,
        "sign_in.html",
        words_for(request.headers),
        status=status,
        script=ways.passkey,
        ways=ways,
        next=next,
        email=email,
        fault=fault,
        note=note,
    )


def _code(
    request: Request,
    words: Words,
    *,
    email: str,
    next: str,  # noqa: A002
    fault: str = "",
    no_mail: bool = False,
    status: int = 200,
) -> Response:
    return page(request, "code.html", words, status=status, email=email, next=next, fault=fault, no_mail=no_mail)
