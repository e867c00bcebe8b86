"""/claim: whoever started the installation becomes its first operator."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.core.errors import Conflict, Denied, Invalid
from freehold.tenants.addresses import normal
from freehold.tenants.sessions import hashed
from freehold.web import cookies
from freehold.web import signing_in as acts
from freehold.web.access import TheState
from freehold.web.pages.forms import HOME, fields_of, see
from freehold.web.pages.rendering import page, words_for
from freehold.web.pages.words import Words
from freehold.web.state import State

router = APIRouter(include_in_schema=False)
COMMAND = "freehold claim-link"
REFUSED = 401
UNFIT = 422
GONE = 409
_GOOD = {"name": "", "email": ""}


@router.get("/claim")
async def show(request: Request, state: TheState) -> Response:
    """Ask whoever holds the link who they are; nothing is done by looking."""
    words, token = words_for(request.headers), request.query_params.get("token", "")
    if await acts.is_claimed(state):
        return _over(request, words)
    if not _is_ours(state, token):
        return _no_link(request, words)
    return page(request, "claim.html", words, faults=_GOOD, form=_GOOD | {"token": token})


@router.post("/claim")
async def claim(request: Request, state: TheState) -> Response:
    """Make them the operator, and sign them in."""
    form, words = await fields_of(request), words_for(request.headers)
    faults, told = _faults(words, form), {name: form.get(name, "") for name in ("token", "name", "email")}
    if any(faults.values()):
        return page(request, "claim.html", words, status=UNFIT, faults=faults, form=told)
    try:
        opened = await acts.claim(state, **told, browser=cookies.browser_of(request))
    except Conflict:
        return _over(request, words)
    except Denied:
        return _no_link(request, words)
    answer = see(HOME)
    cookies.sign_in(answer, opened)
    state.streams.end(sessions=opened.left)
    return answer


def _faults(words: Words, form: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with each field; empty where nothing is."""
    faults = {name: "" if form.get(name) else words("problem.missing") for name in _GOOD}
    if not faults["email"]:
        try:
            normal(form["email"])
        except Invalid:
            faults["email"] = words("problem.bad_email") + " " + words("problem.bad_email_next")
    return faults


def _is_ours(state: State, token: str) -> bool:
    return bool(state.known.claim_hash) and hashed(token) == state.known.claim_hash


def _over(request: Request, words: Words) -> Response:
    return page(
        request,
        "told.html",
        words,
        status=GONE,
        title=words("claim.done_title"),
        lines=[words("claim.done")],
        way_on={"href": "/sign-in", "text": words("error.sign_in")},
        number="",
    )


def _no_link(request: Request, words: Words) -> Response:
    return page(
        request,
        "told.html",
        words,
        status=REFUSED,
        title=words("claim.no_link_title"),
        lines=[words("claim.no_link", command=COMMAND)],
        way_on=None,
        number="",
    )
