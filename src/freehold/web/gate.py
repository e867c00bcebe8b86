"""
The gate: before anything is read or routed, whoever asks needs a key, and nobody may send without end.

It stands in front of the routes, so that a route that is added later is behind it too.
"""

from typing import Any, Final, final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freehold.core.errors import FreeholdError, Invalid
from freehold.core.tenants import Caller
from freehold.store.scope import Store
from freehold.store.threads import in_thread
from freehold.tenants.caller import recognise
from freehold.web.problems import answer

KEYED: Final = ("/api/", "/v1/")
"""Where a key is needed; hooks are signed instead, and health is for everybody."""
OPEN: Final = frozenset({"/api/openapi.json"})
PLAIN_BYTES: Final = 1 << 20
_TOO_LARGE: Final = 413


@final
class Gate:
    """Knows who asks and how much they may send."""

    def __init__(self, app: ASGIApp, *, store: Store, operator_hash: str, key_seal: str, message_bytes: int) -> None:
        """Stand in front of `app`."""
        self._app, self._store, self._operator, self._seal = app, store, operator_hash, key_seal
        # A message may be spelt in escapes; its own length is looked at when it is accepted.
        self._limit = max(PLAIN_BYTES, 2 * message_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._small(headers)
            if scope["path"].startswith(KEYED) and scope["path"] not in OPEN:
                scope.setdefault("state", {})["caller"] = await self._caller(headers)
        except FreeholdError as error:
            await answer(error, path=scope["path"])(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    async def _caller(self, headers: dict[str, str]) -> Caller:
        given = headers.get("authorization", "")
        return await in_thread(recognise, self._store, given, operator_hash=self._operator, seal=self._seal)

    def _small(self, headers: dict[str, str]) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._limit:
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
