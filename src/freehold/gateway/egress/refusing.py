"""A refusal as programs and the people before them read it: a problem document, whatever they tried."""

from typing import Final

import msgspec

from freehold.core.errors import FreeholdError, to_problem
from freehold.gateway.asgi import Send, answer

REASONS: Final = {
    400: b"Bad Request",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    409: b"Conflict",
    413: b"Content Too Large",
    422: b"Unprocessable Content",
    429: b"Too Many Requests",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}
SAYS: Final = b"x-freehold-code"
"""The header that tells our refusals from a server's own."""
LONGEST_WORDS: Final = 400


def refusal(error: FreeholdError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body that tell `error`."""
    headers = [(b"content-type", b"application/problem+json"), (SAYS, error.code.encode())]
    after = getattr(error, "after", 0.0)
    if after:
        headers.append((b"retry-after", f"{after:g}".encode()))
    return error.status, headers, msgspec.json.encode(to_problem(error)) + b"\n"


async def refuse(send: Send, error: FreeholdError) -> None:
    """Answer with `error`."""
    await answer(send, *refusal(error))


def spelt(error: FreeholdError, *, aloud: bool = False) -> bytes:
    """
    Return `error` as a whole answer of HTTP/1.1, for who speaks it without a server's help; the connection ends.

    `aloud` it is told beside the status too, where that is all that a client shows.
    """
    status, headers, body = refusal(error)
    told = f"{error.code}: {error.message} {error.remedy}".encode("ascii", "replace").translate(None, b"\r\n")
    words = told[:LONGEST_WORDS] if aloud else REASONS.get(status, b"Refused")
    lines = [b"HTTP/1.1 %d %s" % (status, words)]
    lines += [name + b": " + value for name, value in headers]
    lines += [b"content-length: %d" % len(body), b"connection: close", b"", b""]
    return b"\r\n".join(lines) + body
