"""
One client's connection, before anybody knows who they are.

Whoever has not finished saying what they want may say so much and take so long, so that nobody without a key can fill
our memory or keep all our connections for themselves.
"""

import asyncio
from typing import Any, Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES: Final = 1 << 16
"""Of a request's line and headers; of what stands between the pieces of its body."""
SECONDS: Final = 30.0
"""Until a request's headers must have come; between two requests, uvicorn's own patience counts."""


class Patient(HttpToolsProtocol):
    """Uvicorn's protocol with an end to its patience."""

    seconds = SECONDS

    def __init__(self, *args: Any, **named: Any) -> None:
        """Begin with nothing heard."""
        super().__init__(*args, **named)
        self._heard = 0
        self._late: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._hurry()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        self._heard += len(data)
        super().data_received(data)
        if self._heard > MOST_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too long.")

    @override
    def on_message_begin(self) -> None:
        self._hurry()
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        self._heard = 0
        self._rest()
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._heard = 0
        super().on_body(body)

    def _hurry(self) -> None:
        self._rest()
        self._late = self.loop.call_later(self.seconds, self.transport.close)

    def _rest(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
