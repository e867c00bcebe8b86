"""
What the gateway asks of those who carry a call out: models and connectors.

A driver is handed everything one call needs and keeps nothing. It says what went wrong by the kind of error:
`NotSent` (nothing left the house), another `Unavailable` (it may have happened), `Denied` or `Invalid` (the
counterpart said no and did nothing).
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Any, Final, Protocol, Self, final
from urllib.parse import quote, quote_plus

from typing_extensions import override

from freehold.core.ceremonies import Claims
from freehold.core.errors import Unavailable
from freehold.core.tools import Tool
from freehold.gateway.asked import Behalf

SHORTEST: Final = 8
"""Bytes of a secret below which what it is packed into could be anybody's word."""
_ENCODED: Final = re.compile("%[0-9A-F]{2}")
Pieces = Callable[[str], None]
"""Takes text as the model says it."""


class NotSent(Unavailable):
    """The counterpart could not be reached at all: provably nothing was sent."""

    code = "not_sent"


def without(text: str, spellings: tuple[str, ...]) -> str:
    """Return `text` with every one of `spellings` blotted out."""
    for spelling in spellings:
        text = text.replace(spelling, "[secret]")
    return text


def _lower(encoded: re.Match[str]) -> str:
    return encoded.group().lower()


@lru_cache(maxsize=256)
def _spellings(value: str) -> tuple[str, ...]:
    raw, escaped = value.encode(), json.dumps(value)[1:-1]
    if len(raw) < SHORTEST:
        return (value,) if raw else ()
    found = {value, value[::-1], raw.hex(), raw.hex().upper(), quote(value, safe=""), quote_plus(value)}
    found |= {escaped, json.dumps(escaped)[1:-1], "\0".join(value), escaped.replace("/", "\\/")}
    found |= {escape(value), escape(value, quote=False), _ENCODED.sub(_lower, quote(value, safe=""))}
    for pack in (base64.b64encode, base64.urlsafe_b64encode):
        found.add(pack(raw).decode().rstrip("="))
        # Packed up behind something else it begins within three bytes; what is beside it is in its first and last sign.
        found |= {pack(bytes(at) + raw).decode()[at + 1 if at else 0 : (at + len(raw)) * 8 // 6] for at in range(3)}
    return tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))


@final
@dataclass(frozen=True, slots=True)
class Credential:
    """An opened secret. It shows itself to nobody who does not ask for it by name."""

    _value: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self._value)

    def reveal(self) -> str:
        """Return the value, for the one call that needs it."""
        return self._value

    @property
    def spellings(self) -> tuple[str, ...]:
        """Return how the value looks when it is repeated, also by somebody who packs it up; longest first."""
        return _spellings(self._value)

    def scrub(self, text: str) -> str:
        """Return `text` without the value."""
        return without(text, self.spellings)

    @override
    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        raise TypeError("A credential is not written anywhere.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call that a model proposes."""

    id: str
    name: str
    arguments: dict[str, Any] | str
    """As parsed; the raw text where the model wrote no JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """What a model answered, whole."""

    text: str
    calls: tuple[Call, ...]
    finish: str
    usage_in: int
    usage_out: int
    estimated: bool
    """Whether the provider told no usage and we counted for ourselves."""
    model: str
    """As the provider names what answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A connection as a driver sees it, with what opens it."""

    owner: str
    """Whose it is; empty for the platform. With the name, what a driver may know it by between two calls."""
    name: str
    config: Mapping[str, Any]
    credential: Credential
    behalf: Behalf


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorCall:
    """One effect to carry out, complete."""

    key: str
    """The effect's key: the same for every attempt."""
    tool: Tool
    """What is to be done; its name is the effect's operation."""
    arguments: Mapping[str, Any]
    to: Reached
    sent: Callable[[], None]
    """To be called when the request has left."""


class ConnectorDriver(Protocol):
    """Carries out the effects of one kind of connection."""

    kind: str
    replies: bool
    """Whether the platform itself may send through it, as a channel's answers do."""

    def check(self, config: Mapping[str, Any], credential: Credential) -> None:
        """Raise `Invalid` if a connection with this configuration could never work."""
        ...

    def tools(self, config: Mapping[str, Any]) -> Sequence[Tool]:
        """Return what every connection with this configuration can do, whatever it was told besides."""
        ...

    def idempotent(self, config: Mapping[str, Any]) -> bool:
        """Return whether the counterpart does a thing once however often the same key asks for it."""
        ...

    async def perform(self, call: ConnectorCall) -> dict[str, Any]:
        """
        Carry the call out once and return what there is to tell about it.

        Raises `Denied` with code `tool_changed` where the counterpart's tool is not the one that was granted any more.
        """
        ...


class Discovering(ConnectorDriver, Protocol):
    """A driver whose connections can do what a server or a document says."""

    async def discover(self, to: Reached, document: Mapping[str, Any] | None) -> Sequence[Tool]:
        """
        Return what a connection can do, as its server tells it or `document` says.

        Raises `Invalid` (`bad_document`) where that makes no sense, `Unavailable` where nobody tells.
        """
        ...


class IdentityProvider(Protocol):
    """
    Tells who somebody is, when they were sent to it and came back.

    What it says is checked here and believed elsewhere; none of its tokens goes further than the driver. What it
    says wrongly is `Denied` with code `oidc_refused`; a provider that cannot be asked is `Unavailable`.
    """

    async def start(self, *, state: str, nonce: str, challenge: str, redirect_uri: str) -> str:
        """Return the address to which a browser is sent; `challenge` is the SHA-256 of the code's verifier."""
        ...

    async def exchange(
        self, *, code: str, verifier: str, nonce: str, redirect_uri: str, issuer: str | None, credential: Credential
    ) -> Claims:
        """Return who came back with `code`; `issuer` is who the browser says it comes from, if it says that."""
        ...

    async def goodbye(self, *, redirect_uri: str) -> str:
        """Return the address at which a browser signs out of the provider too; empty where there is none."""
        ...

    async def ended(self, token: str) -> tuple[str, int]:
        """Return whose sessions the provider's logout token ends, and when it was made (seconds since 1970)."""
        ...
