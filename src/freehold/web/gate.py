"""
The gate: before anything is read or routed, it is known who asks, from where, how often and for how much.

It stands in front of the routes, so that a route that is added later is behind it too. What it refuses, in this
order: an address that is not ours, a foreign page, too much at once, too often, and where a key is needed, nobody.
Every answer leaves through it, with the id of its request and the headers that tell browsers to be careful.
"""

import hmac
import re
from functools import partial
from typing import Any, Final, final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freehold.audit.asking import REQUEST_HEADER, Asking, asking, request_id
from freehold.core.access import EVERYBODY, ROUTES
from freehold.core.errors import Denied, FreeholdError, Invalid
from freehold.core.tenants import Caller
from freehold.store.threads import in_thread
from freehold.tenants.caller import UNAUTHENTICATED, recognise
from freehold.tenants.keys import hashed
from freehold.web.head import Head, read
from freehold.web.hosts import LOOPBACK, admit_cookie, hosts_of
from freehold.web.problems import answer, broken
from freehold.web.rates import address_of, customer, networks
from freehold.web.state import State

KEYED: Final = ("/api/", "/v1/")
"""Where somebody must be known; elsewhere a page asks them to sign in."""
HEALTH: Final = "/healthz"
"""Whoever watches over us need not know what we are called."""
DESCRIPTION: Final = "/api/openapi.json"
PLAIN_BYTES: Final = 1 << 20
REQUEST_ID: Final = REQUEST_HEADER.lower().encode()
METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
"""What requests are counted by; a client may make up any other word."""
_TOO_LARGE: Final = 413
_POLICY_VIOLATED: Final = 1008
_YEAR: Final = 31_536_000

CAREFUL: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with no referrer at all, our own forms would come from the origin "null"
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),  # a page states its own
)
"""What every answer says to browsers, unless it says otherwise itself."""


@final
class Gate:
    """Knows who asks and how much they may ask for."""

    def __init__(self, app: ASGIApp, *, state: State) -> None:
        """Stand in front of `app`; raise `Invalid` (`bad_setting`) where settings name addresses that are none."""
        settings = state.settings
        self._app, self._state = app, state
        self._hosts, self._proxies = hosts_of(settings), networks(settings.proxies)
        secure = ((b"strict-transport-security", b"max-age=%d" % _YEAR),)
        self._careful = CAREFUL + (secure if settings.base_url.startswith("https://") else ())
        # A message may be spelt in escapes; its own length is looked at when it is accepted.
        self._limit = max(PLAIN_BYTES, 2 * settings.message_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answered(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATED})

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, head = False, read(scope)
        request = request_id(head.request, self._state.ids)
        begun = self._state.clock.ticks()

        async def telling(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = self._headed(list(message.get("headers", ())), request)
                self._count(scope["method"], message["status"], begun)
            await send(message)

        try:
            asking.set(Asking(request))
            await self._admitted(scope, head)
            await self._app(scope, self._counted(receive), telling)
        except Exception as error:
            if started:
                raise
            await (await _told(scope, error))(scope, receive, telling)

    async def _admitted(self, scope: Scope, head: Head) -> None:
        """Return once it is known who asks, and written into the scope; raise what they are refused with."""
        path = scope["path"]
        if path != HEALTH:
            self._hosts.admit(head.asked)
        self._small(head)
        address = address_of(head.peer, head.forwarded, self._proxies)
        found: Caller | Denied | None = None
        if (head.secret or path.startswith(KEYED)) and not is_open(scope["method"], path):
            found = await self._who(head, customer(address))
        if not isinstance(found, Caller):
            if not _looks_after_us(path, head):
                self._state.rates.address.take(customer(address))
            if found is not None and path.startswith(KEYED):
                raise found
            found = None
        else:
            asking.set(Asking(asking.get().request, found.way))
        scope.setdefault("state", {}).update(caller=found, address=address)

    async def _who(self, head: Head, asker: str) -> Caller | Denied:
        """Return who asks, or why that cannot be told; raise where they ask too often or from a foreign page."""
        state = self._state
        rates, operator = state.rates, state.known.operator_hash
        secret = hashed(head.secret) if head.secret else ""
        exempt = bool(secret and operator) and hmac.compare_digest(secret, operator)
        if head.presented.session:
            admit_cookie(head.asked)
        look = partial(recognise, state.store, head.presented, known=state.known, at=state.clock.now())
        if exempt:
            return look()  # the one key that is in no database
        rates.show(secret, asker)
        try:
            caller = await in_thread(look)
        except Denied as error:
            if error.status != UNAUTHENTICATED:
                raise
            return error
        rates.known(secret, caller.person)
        return caller

    def _count(self, method: str, status: int, begun: int) -> None:
        metrics, named = self._state.metrics, method if method in METHODS else "other"
        metrics.count("freehold_http_requests_total", method=named, status=f"{status // 100}xx")
        metrics.observe("freehold_http_request_seconds", (self._state.clock.ticks() - begun) / 1e9, method=named)

    def _headed(self, headers: list[tuple[bytes, bytes]], request: str) -> list[tuple[bytes, bytes]]:
        said = {name for name, _ in headers}
        headers += [(name, value) for name, value in self._careful if name not in said]
        headers.append((REQUEST_ID, request.encode()))
        return headers

    def _small(self, head: Head) -> None:
        if not head.length.isdecimal() or int(head.length) > self._limit:
            raise self._too_large()

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message: dict[str, Any] = dict(await receive())
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> Invalid:
        return Invalid(
            f"A request has at most {self._limit} bytes.",
            code="too_large",
            status=_TOO_LARGE,
            remedy="Send less at once.",
        )


def _looks_after_us(path: str, head: Head) -> bool:
    """Return whether this is our own start, or another program of this machine, looking whether we are well."""
    return path == HEALTH and head.peer in LOOPBACK and not head.forwarded


async def _told(scope: Scope, error: Exception) -> Response:
    if isinstance(error, FreeholdError):
        return answer(error, path=scope["path"])
    return await broken(Request(scope), error)


def is_open(method: str, path: str) -> bool:
    """Return whether this is for everybody, so that whoever asks is not even looked up."""
    return path == DESCRIPTION or _OPEN.fullmatch(f"{method} {path}") is not None


def _open() -> re.Pattern[str]:
    routes = (f"{method} {path}" for (method, path), scope in ROUTES.items() if scope == EVERYBODY)
    return re.compile("|".join(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route)) for route in routes))


_OPEN: Final = _open()
