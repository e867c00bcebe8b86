"""The page of all routes, as the application describes itself."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI

from freehold.core.access import API
from freehold.web.access import scoped
from freehold.web.building import NOUNS, OUTSIDE
from tools.reference.markdown import page, rows

METHODS: Final = ("get", "post", "put", "patch", "delete")
FREE: Final = "none"


def description() -> dict[str, Any]:
    """Return the OpenAPI document, without putting a whole platform together."""
    app = FastAPI()
    for prefix, modules in ((API, NOUNS), ("", OUTSIDE)):
        for module in modules:
            app.include_router(scoped(module.router, prefix), prefix=prefix)
    return app.openapi()


def _routes(paths: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    for path, methods in paths.items():
        for method in METHODS:
            if method in methods:
                told = methods[method]
                said = str(told.get("description") or told.get("summary") or "")
                yield path, method.upper(), str(told["x-scope"]), said.split("\n\n", maxsplit=1)[0]


def _lines(found: list[tuple[str, str, str, str]]) -> Iterator[tuple[str, ...]]:
    for path, method, scope, said in found:
        yield f"`{method} {path}`", "nobody need be known" if scope == FREE else f"`{scope}`", said


def routes_page() -> str:
    """Return the page."""
    found = sorted(_routes(description()["paths"]))
    inside = [route for route in found if route[0].startswith(API)]
    outside = [route for route in found if not route[0].startswith(API)]
    return page(
        "API",
        "The platform describes itself as OpenAPI 3.1 at `/api/openapi.json`, with bodies, answers and the scope each "
        "route needs (`x-scope`). Send a key as `Authorization: Bearer fh_…`, or come with the session of a signed-in "
        "person; `write` includes `read`, `admin` includes both, `*` everything. `self` is for people, about "
        "themselves.",
        "- `{tenant}` and `{agent}` are a slug or name, or an id. What belongs to another tenant answers like what is "
        "not there: 404.\n"
        "- Errors are [problem documents](errors.md); compare `code`.\n"
        '- Lists take `limit` and `cursor` and answer `{"items": […], "next": cursor or null}`.\n'
        "- What creates something takes `Idempotency-Key`: the same key and body are answered as the first time, the "
        "same key with another body is a 409 (`key_reused`).\n"
        "- `Prefer: wait=N` waits up to N seconds for the outcome of a message or run.\n"
        "- Times are RFC 3339 in UTC with milliseconds; money is in whole billionths of a US dollar (`…_nano`).",
        "## Routes",
        rows(("Route", "Scope", "Does"), _lines(inside)),
        "## Outside `/api/v1`",
        rows(("Route", "Scope", "Does"), _lines(outside)),
        "## Streams",
        "`GET …/runs/{run}/events` with `Accept: text/event-stream` sends events as they happen, each with its number "
        "as `id`, and ends after the run's last one. Reconnect with `Last-Event-ID`. `delta` and `reset` have no id: "
        "they carry the reply while it is written, and are not kept.",
    )
