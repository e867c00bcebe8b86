"""What goes wrong on the way to a page is told as a page: to people in words, with what to do next."""

import json
from collections.abc import Mapping
from typing import Any, Final, final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freehold.settings import Settings
from freehold.web.pages.rendering import headers, rendered, words_for
from freehold.web.pages.words import Words
from freehold.web.problems import MEDIA_TYPE

PROGRAMS: Final = ("/api/", "/v1/", "/hooks/", "/healthz", "/static/", "/login/oidc/ended")
"""Where programs ask; they are answered in JSON whatever they say they accept."""
PAGES: Final = ("/sign-in", "/sign-out", "/account", "/claim", "/invite/", "/approve/", "/connect/", "/login/")
UNAUTHENTICATED: Final = 401
_REPLACED: Final = frozenset({"content-type", "content-length", "www-authenticate", "content-security-policy"})


@final
class Faults:
    """Turns the problem documents that a page's address is answered with into pages."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        """Stand in front of `app`, and of its gate."""
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back in the shape that its sender reads."""
        if scope["type"] != "http" or not _is_page(scope):
            await self._app(scope, receive, send)
            return
        begun: Message | None = None
        said = b""

        async def telling(message: Message) -> None:
            nonlocal begun, said
            if message["type"] == "http.response.start" and _is_problem(message):
                begun = message
            elif begun is None:
                await send(message)
            else:
                said += message.get("body", b"")
                if not message.get("more_body", False):
                    await self._show(scope, begun, said, send)

        await self._app(scope, receive, telling)

    async def _show(self, scope: Scope, begun: Message, said: bytes, send: Send) -> None:
        told: dict[str, Any] = json.loads(said)
        before = Headers(raw=begun["headers"])
        words = words_for(Headers(scope=scope))
        body = fault_page(told, before, words, self._settings).encode()
        kept = [(name, value) for name, value in begun["headers"] if name.decode("latin-1").lower() not in _REPLACED]
        answer = MutableHeaders(raw=kept)
        answer.update(headers(words) | {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body))})
        await send({"type": "http.response.start", "status": begun["status"], "headers": answer.raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def fault_page(told: Mapping[str, Any], before: Headers, words: Words, settings: Settings) -> str:
    """Return the page about a problem document, whose answer had the headers `before`."""
    code, wait = str(told["code"]), before.get("retry-after", "")
    written = words.has(f"problem.{code}")
    lines = [words(f"problem.{code}"), words(f"problem.{code}_next")] if written else [told["detail"], told["remedy"]]
    if wait.isdecimal():
        lines[1] = words("error.wait", seconds=wait)
    again = told["status"] == UNAUTHENTICATED
    way_on = (
        {"href": "/sign-in", "text": words("error.sign_in")} if again else {"href": "/", "text": words("error.home")}
    )
    return rendered(
        "told.html",
        words,
        settings,
        title=words("error.title"),
        lines=[line for line in lines if line],
        way_on=way_on,
        number=before.get("x-request-id", ""),
    )


def _is_page(scope: Scope) -> bool:
    path = scope["path"]
    if path.startswith(PROGRAMS):
        return False
    return path.startswith(PAGES) or "text/html" in Headers(scope=scope).get("accept", "")


def _is_problem(message: Message) -> bool:
    return Headers(raw=message.get("headers", [])).get("content-type", "").startswith(MEDIA_TYPE)
