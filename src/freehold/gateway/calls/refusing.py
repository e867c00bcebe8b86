"""
A refusal in the caller's own words: each family of clients reads errors in its own shape.

Clients of both families try again by themselves unless `x-should-retry` says no; what money or policy refused is not
mended by asking again at once.
"""

from typing import Final

import msgspec

from freehold.core.errors import Exhausted, FreeholdError, Unavailable
from freehold.gateway.asgi import Send, answer
from freehold.gateway.formats import Api

ANTHROPIC: Final = frozenset({Api.MESSAGES, Api.COUNT_TOKENS})
_OPENAI_KINDS: Final = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_KINDS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_BUSY: Final = "provider_busy"
_REJECTED: Final = "provider_rejected"
STATUS: Final = "provider_status"
"""The fact of an error that says what the provider answered."""
_OURS_FOR_CLIENTS: Final = {422: 400}
"""What clients know for a request that cannot be right."""

Headers = list[tuple[bytes, bytes]]


def refusal(api: Api, error: FreeholdError, *, call: str = "") -> tuple[int, Headers, bytes]:
    """Return status, headers and body that tell `error` to a client of `api`."""
    status = status_of(error)
    headers: Headers = [(b"content-type", b"application/json"), (b"x-freehold-code", error.code.encode())]
    headers += [(b"request-id", call.encode()), (b"x-request-id", call.encode())] if call else []
    after = getattr(error, "after", 0.0)
    if after:
        headers.append((b"retry-after", f"{after:g}".encode()))
    if not again(error):
        headers.append((b"x-should-retry", b"false"))
    return status, headers, msgspec.json.encode(told(api, error))


def told(api: Api, error: FreeholdError) -> dict[str, object]:
    """Return the body that tells `error` to a client of `api`."""
    status = status_of(error)
    message = f"{error.message} {error.remedy}".strip()
    if api in ANTHROPIC:
        kind = _ANTHROPIC_KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")  # noqa: PLR2004
        return {"type": "error", "error": {"type": kind, "message": message, "code": error.code, **error.facts}}
    kind = _OPENAI_KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")  # noqa: PLR2004
    return {"error": {"message": message, "type": kind, "param": None, "code": error.code, **error.facts}}


def again(error: FreeholdError) -> bool:
    """Return whether asking again by itself may help a client."""
    return isinstance(error, Unavailable) or (isinstance(error, Exhausted) and error.status == 429)  # noqa: PLR2004


def status_of(error: FreeholdError) -> int:
    """Return the status that clients of models know for `error`."""
    if error.code == _BUSY:
        return 429
    if error.code == _REJECTED and isinstance(told := error.facts.get(STATUS), int) and 400 <= told < 500:  # noqa: PLR2004
        return told
    return _OURS_FOR_CLIENTS.get(error.status, error.status)


async def refuse(send: Send, api: Api, error: FreeholdError) -> None:
    """Answer with `error`."""
    status, headers, body = refusal(api, error)
    await answer(send, status, headers, body)
