"""What the gate reads in the head of a request: a few headers, told apart from those that came twice."""

from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from freehold.tenants.caller import Presented
from freehold.web.hosts import Asked

COOKIE: Final = "__Host-freehold"
"""Holds a session; browsers keep its name to this host, and to what came over a safe way."""
_ONCE: Final = {
    b"host": "host",
    b"origin": "origin",
    b"sec-fetch-site": "site",
    b"sec-fetch-mode": "mode",
    b"sec-fetch-dest": "target",
    b"authorization": "authorization",
    b"content-length": "length",
    b"x-request-id": "request",
}
_JOINED: Final = {b"cookie": "; ", b"x-forwarded-for": ","}
TWICE: Final = "\0"
"""Stands for a header that came twice and must not: no value of a header is like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request's head, as far as the gate decides by it."""

    asked: Asked
    presented: Presented
    peer: str
    """Address of whoever is connected."""
    forwarded: str
    """X-Forwarded-For: for whom the peer says it asks."""
    length: str
    """How long the body shall be."""
    request: str
    """What the client, or an edge in front, calls this request."""

    @property
    def secret(self) -> str:
        """Return the text that shows who asks, however its header spells it; empty where nothing does."""
        return self.presented.session or self.presented.authorization.partition(" ")[2].strip()


def read(scope: Scope) -> Head:
    """Return the head of the request that `scope` describes."""
    once: dict[str, str] = {}
    joined: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _ONCE:
            key = _ONCE[name]
            once[key] = TWICE if key in once else value.decode("latin-1").strip()
        elif name in _JOINED:
            text = value.decode("latin-1")
            joined[name] = joined[name] + _JOINED[name] + text if name in joined else text
    shown, length, request = once.pop("authorization", ""), once.pop("length", "0"), once.pop("request", "")
    return Head(
        asked=Asked(method=scope["method"], host=once.pop("host", None), **once),
        presented=_presented(shown, joined.get(b"cookie", "")),
        peer=(scope.get("client") or ("",))[0],
        forwarded=joined.get(b"x-forwarded-for", ""),
        length=length,
        request=request,
    )


def _presented(authorization: str, cookie: str) -> Presented:
    """Return what shows who asks: a key counts and the cookie does not; what an edge asked for is neither."""
    session = "" if authorization[:7].lower() == "bearer " else _session(cookie)
    return Presented(authorization="" if session else authorization, session=session)


def _session(cookie: str) -> str:
    if COOKIE not in cookie:
        return ""
    pairs = (pair.strip().partition("=") for pair in cookie.split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")
