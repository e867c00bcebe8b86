"""
Accounts outside that connections sign in to: what a connection would ask for, before anybody is sent anywhere.

The gateway holds the tokens and speaks with the provider; what is told here stands in the connection itself and in
the presets that ship.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from freehold.catalog.oauth import Provider, providers
from freehold.core.errors import Conflict, NotFound
from freehold.web.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Asks:
    """What a connection asks a provider for."""

    name: str
    """What the connection is called."""
    kind: str
    address: str
    """Where it goes, as far as it says."""
    provider: str
    """What people call the provider."""
    host: str
    """Where people sign in to it."""
    scopes: tuple[str, ...]
    words: Mapping[str, str] = field(default_factory=dict)
    """What scopes mean, where the preset says it."""
    device: bool = False
    """Whether a code on another screen will do."""


async def asks_of(state: State, tenant: str | None, name: str) -> Asks:
    """
    Return what the connection `name` of the tenant, or of the platform, asks for.

    Raises `NotFound` (`unknown_connection`), and `Conflict` (`no_sign_in`) for one that nobody signs in to.
    """
    known = await state.gateway.list_connections(tenant)
    found = next((connection for connection in known if connection["name"] == name), None)
    if found is None:
        raise NotFound(
            f"There is no connection {name!r}.",
            code="unknown_connection",
            remedy="`freehold connection list` shows what is there.",
        )
    stated = found["config"].get("oauth")
    if not isinstance(stated, dict):
        raise Conflict(
            f"Nobody signs in to {name!r}: it is opened with a secret, or with nothing.",
            code="no_sign_in",
            remedy="`freehold connection create` with --oauth makes one that people sign in to.",
        )
    return _asks(found, stated)


def _asks(connection: Mapping[str, Any], stated: Mapping[str, Any]) -> Asks:
    preset = providers().get(str(stated.get("preset", "")), Provider())
    host = _host(stated.get("authorize") or preset.authorize or stated.get("device"))
    config = connection["config"]
    return Asks(
        name=connection["name"],
        kind=connection["kind"],
        address=str(config.get("base_url") or config.get("url") or ""),
        provider=preset.name or host,
        host=host,
        scopes=tuple(stated.get("scopes") or preset.scopes),
        words=preset.words,
        device=bool(stated.get("device") or preset.device),
    )


def _host(address: object) -> str:
    """Return where an address leads, in letters that are no others in disguise."""
    host = urlsplit(address).netloc if isinstance(address, str) else ""
    return host if host.isascii() else host.encode("idna").decode()
