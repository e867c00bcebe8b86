"""
The outside door: whoever shows a model key, in the name of its tenant.

Of somebody nobody knows the headers are read and nothing else. What tenants ask takes room in our memory: each has
so much at once that the largest request fits twice, and all together have as much as can be borne.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, final

from freehold.core.errors import Denied, FreeholdError
from freehold.gateway.asgi import Receive, Scope, Send
from freehold.gateway.calls.room import Room
from freehold.gateway.calls.speaking import Serve, refusing
from freehold.gateway.formats import Caller

log = logging.getLogger(__name__)

TENANT_BYTES: Final = 128 << 20
"""Bytes of requests of one tenant that may lie in our memory at once."""
ALL_BYTES: Final = 512 << 20
"""Those of all tenants together."""
CALL_BYTES: Final = 64 << 10
"""What a call takes besides its request's bytes: two connections and what is on its way in them."""
_BEARER: Final = b"bearer "

Known = Callable[[str], Awaitable[Caller]]
"""Returns who shows a key; raises `Denied` where nobody does."""


@final
class Outside:
    """Lets in whoever shows a key."""

    def __init__(self, serve: Serve, known: Known) -> None:
        """Answer by `serve` whom `known` knows."""
        self._serve, self._known = serve, known
        self._all = Room(ALL_BYTES)
        self._rooms: dict[str, Room] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            caller = await self._known(shown(scope["headers"]))
        except FreeholdError as error:
            await refusing(error)(scope, receive, send)
            return
        except Exception:
            log.exception("A key could not be looked for.")
            broke = FreeholdError("The gateway broke on this.", remedy="See its log.")
            await refusing(broke)(scope, receive, send)
            return
        tenant = caller.whom.tenant
        room = self._rooms.get(tenant)
        if room is None:
            room = self._rooms[tenant] = Room(TENANT_BYTES, within=self._all, each=CALL_BYTES)
        await room.answer(self._serve(caller), scope, receive, send)


def shown(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """
    Return the key that a request shows, by either of the headers that clients know.

    Raises `Denied` (`bad_key`) where it shows two: whoever stands between us and the caller may have looked at the
    other one.
    """
    keys = set()
    for name, value in headers:
        if name == b"authorization":
            keys.add((value[len(_BEARER) :] if value[: len(_BEARER)].lower() == _BEARER else value).strip())
        elif name == b"x-api-key":
            keys.add(value.strip())
    if len(keys) > 1:
        raise Denied(
            "Two keys are shown that differ.",
            code="bad_key",
            status=401,
            remedy="Show one, as Authorization: Bearer KEY or as x-api-key.",
        )
    return keys.pop().decode("latin-1") if keys else ""
