"""What comes back from a page: its fields, from our own page alone, and the places it may lead to next."""

import re
from typing import Final
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse

from freehold.core.errors import Invalid
from freehold.web.head import read
from freehold.web.hosts import admit_cookie

FORM: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 20
MOST_BYTES: Final = 16_384
HOME: Final = "/account"
"""Where people land who were not on their way anywhere."""
_LOCAL: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")  # no space, no control character, no backslash


async def fields_of(request: Request) -> dict[str, str]:
    """
    Return what was filled in, with the spaces around it gone.

    Signing in needs no cookie, and would still be worth forging (into somebody else's account), so every form has
    to come from a page of ours. Raises `Denied` (`foreign_origin`) and `Invalid` (`bad_form`).
    """
    admit_cookie(read(request.scope).asked)
    body = await request.body()
    told = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if told != FORM or len(body) > MOST_BYTES:
        raise _bad()
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, encoding="utf-8", errors="strict"
        )
    except ValueError as error:
        raise _bad() from error
    return {name: value.strip() for name, value in pairs}


def local(place: str) -> str:
    """Return `place` if it is one of ours, and where people land by themselves if not: nobody is led astray."""
    return place if _LOCAL.fullmatch(place) else HOME


def see(place: str) -> RedirectResponse:
    """Return the way on to `place`, which is shown by a GET; what was sent is not sent again by a reload."""
    return RedirectResponse(place, status_code=303, headers={"Cache-Control": "no-store"})


def sign_in_first(request: Request) -> RedirectResponse:
    """Return the way to sign in, and back to what was asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return see(f"/sign-in?next={quote(asked, safe='/')}")


def _bad() -> Invalid:
    return Invalid(
        "The form did not come through as it should.",
        code="bad_form",
        remedy="Go back, reload the page and send it again.",
    )
