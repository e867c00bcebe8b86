"""Room for requests: what callers nobody knows well may have lying in our memory at once, each and all together."""

from typing import Any, final

from freehold.core.errors import Exhausted
from freehold.gateway.asgi import App, Receive, Scope, Send

AFTER = 1.0


@final
class Room:
    """So many bytes of requests at once, from the first byte that came until the answer has gone."""

    def __init__(self, most: int, *, within: "Room | None" = None, each: int = 0) -> None:
        """Give `most` bytes, and no more than there are `within` another room; a request takes `each` besides its own."""
        self._most, self._within, self._each = most, within, each
        self.taken = 0

    async def answer(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request by `app`; its body takes room, and finds `Exhausted` (`too_much_at_once`) without."""
        taken = 0

        async def counted() -> dict[str, Any]:
            nonlocal taken
            event = await receive()
            size = len(event.get("body", b"")) + (0 if taken else self._each)
            self._take(size)
            taken += size
            return event

        try:
            await app(scope, counted, send)
        finally:
            self._give(taken)

    def _take(self, size: int) -> None:
        if self.taken + size > self._most:
            raise Exhausted(
                "Too much is asked at once.",
                code="too_much_at_once",
                after=AFTER,
                remedy="Wait for answers before you send more, or send less in one request.",
            )
        if self._within is not None:
            self._within._take(size)  # noqa: SLF001 - a room of our own kind
        self.taken += size

    def _give(self, size: int) -> None:
        self.taken -= size
        if self._within is not None:
            self._within._give(size)  # noqa: SLF001 - a room of our own kind
