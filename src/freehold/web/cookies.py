"""
The two cookies there are: one holds a session, one tells a browser from others before anybody signed in.

Both keep to this host, to what came over a safe way and to requests of our own pages, and no script reads them.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from freehold.tenants.sessions import LASTING, Browser, Opened, fresh, well_formed
from freehold.web.head import COOKIE

BROWSER: Final = "__Host-freehold-browser"
BROWSER_SECONDS: Final = 86_400
LEAVING: Final = '"cache", "cookies", "storage"'
"""Clear-Site-Data of whoever signs out: nothing of theirs stays in the browser."""


def browser_of(request: Request) -> Browser:
    """Return what the request comes from; one without a good nonce is given a fresh one, which `keep` hands out."""
    nonce = request.cookies.get(BROWSER, "")
    return Browser(
        nonce=nonce if well_formed(nonce) else fresh(),
        session=request.cookies.get(COOKIE, ""),
        client=request.headers.get("user-agent", ""),
        address=str(getattr(request.state, "address", "")),
    )


def keep(response: Response, browser: Browser) -> None:
    """Let the browser show its nonce from now on."""
    _set(response, BROWSER, browser.nonce, seconds=BROWSER_SECONDS)


def sign_in(response: Response, opened: Opened) -> None:
    """Let the browser show the session that was opened; what was begun in it before is over."""
    _set(response, COOKIE, opened.text, seconds=int(LASTING.total_seconds()))
    _set(response, BROWSER, "", seconds=0)
    response.headers["Cache-Control"] = "no-store"


def sign_out(response: Response) -> None:
    """Let the browser forget all it has of us."""
    _set(response, COOKIE, "", seconds=0)
    _set(response, BROWSER, "", seconds=0)
    response.headers["Clear-Site-Data"] = LEAVING
    response.headers["Cache-Control"] = "no-store"


def _set(response: Response, name: str, value: str, *, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")
