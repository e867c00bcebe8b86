"""
In which request somebody acts, and by which way they signed in.

Web's gate sets it for as long as it answers; every row that is written meanwhile says it. It goes with the task
into threads, and over web's socket into the gateway. Nothing is decided by it.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from freehold.core.ids import NewId

REQUEST_HEADER: Final = "X-Request-Id"
WAY_HEADER: Final = "X-Freehold-Way"
_GOOD: Final = re.compile(r"[A-Za-z0-9._-]{1,80}")


@dataclass(frozen=True, slots=True)
class Asking:
    """A request, as the record names it."""

    request: str = ""
    way: str = ""
    """How whoever asks signed in: `key`, `operator-key`, `otp`, `oidc`, `passkey`, `claim`."""


NOBODY: Final = Asking()
asking: Final[ContextVar[Asking]] = ContextVar("asking", default=NOBODY)
"""Who asks right now; `asking.set(Asking(...))` holds for the task that sets it, and what it starts."""


def request_id(given: str, new_id: NewId) -> str:
    """Return the id a client gave its request, if it is 1 to 80 letters, digits, `.`, `_` and `-`; else a fresh one."""
    return given if _GOOD.fullmatch(given) else new_id("req")


def to_headers() -> dict[str, str]:
    """Return who asks right now as headers of a request to the gateway."""
    now = asking.get()
    named = {REQUEST_HEADER: now.request, WAY_HEADER: now.way}
    return {name: value for name, value in named.items() if value}


def from_headers(headers: Mapping[str, str]) -> Asking:
    """Return who asks, as the headers (names in small letters) of a request say it; what is no name is left out."""
    told = (headers.get(name.lower(), "") for name in (REQUEST_HEADER, WAY_HEADER))
    return Asking(*(value if _GOOD.fullmatch(value) else "" for value in told))
