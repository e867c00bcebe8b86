"""
A page: a template of ours, filled with values that are escaped, and headers that let it do only what it must.

Templates come from the package alone and every name in them must be there; whatever came from people or models is a
value and can never become markup.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from freehold.settings import Settings
from freehold.web.pages.static import assets
from freehold.web.pages.words import Words, language_of

LANGUAGE_HEADER: Final = "accept-language"


def words_for(headers: Mapping[str, str], *, language: str = "", zone: str = "") -> Words:
    """Return the words for whoever asks: in the language they chose, or else in one that their browser asks for."""
    return Words(language_of(language, headers.get(LANGUAGE_HEADER, "")), zone or "UTC")


def page(
    request: Request,
    template: str,
    words: Words,
    *,
    status: int = 200,
    script: bool = False,
    targets: tuple[str, ...] = (),
    **values: Any,
) -> HTMLResponse:
    """
    Return `template`, filled with `values`, in `words`.

    `script` is for the pages that offer passkeys, whose script is a file of ours; `targets` are the other origins
    that a form may lead to.
    """
    body = rendered(template, words, request.app.state.freehold.settings, **values)
    return HTMLResponse(body, status_code=status, headers=headers(words, script=script, targets=targets))


def rendered(template: str, words: Words, settings: Settings, **values: Any) -> str:
    """Return the text of a page."""
    place = urlsplit(settings.base_url).netloc
    found = _environment().get_template(template)
    return found.render(words=words, place=place, address=_address, **values)


def headers(words: Words, *, script: bool = False, targets: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what a page says about itself to browsers."""
    rules = [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        *(["script-src 'self'", "connect-src 'self'"] if script else []),
        " ".join(["form-action 'self'", *targets]),
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    return {
        "Content-Security-Policy": "; ".join(rules),
        "Cache-Control": "no-store",
        "Content-Language": words.language,
        "Referrer-Policy": "same-origin",
        "Vary": "Accept-Language, Cookie",
    }


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _address(name: str) -> str:
    """Return where the file `name` of ours is served."""
    return assets()[name].address
