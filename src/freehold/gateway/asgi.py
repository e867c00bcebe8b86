"""Plain ASGI, as far as the gateway needs it: what a request and an answer are made of, each whole."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from freehold.core.errors import Invalid

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]


async def body_of(receive: Receive, *, most: int) -> bytes:
    """Return the body of a request; raise `Invalid` where it broke off, or is longer than `most` (413, `too_large`)."""
    chunks, size, more = [], 0, True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise Invalid("The request broke off.")
        chunks.append(event.get("body", b""))
        size += len(chunks[-1])
        more = event.get("more_body", False)
        if size > most:
            raise Invalid(
                "The request is too large.", code="too_large", status=413, remedy=f"Send at most {most} bytes."
            )
    return b"".join(chunks)


async def answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send an answer, its length with it."""
    lines = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
