"""
Accounts outside that connections sign in to: which one is held, and what a connection would ask for.

The gateway holds the tokens and speaks with the provider; what is told here stands in the connection itself and in
the presets that ship.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel

from freehold.catalog.oauth import Provider, providers
from freehold.core.errors import Conflict, NotFound
from freehold.gateway.client import WebGateway
from freehold.web.state import State
from freehold.web.views import told_moment


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


class AccountHeldView(BaseModel):
    """The account that a connection uses, as far as it is known; never what opens it."""

    state: Literal["none", "connected", "expired"]
    """`none`: nobody signed in. `expired`: somebody has to do it again."""
    account: str = ""
    """As the provider calls it, where it says so."""
    scopes: list[str] = []
    expires_at: str | None = None
    """When what we hold runs out; null where the provider does not say."""
    refreshable: bool = False
    """Whether it is renewed by itself before it runs out."""
    connected_by: str = ""
    connected_at: str | None = None

    @classmethod
    def of(cls, told: dict[str, Any]) -> "AccountHeldView":
        """Show an account as the gateway tells it."""
        named = {name: told[name] for name in cls.model_fields if told.get(name) is not None}
        times = {name: told_moment(named[name]) for name in ("expires_at", "connected_at") if name in named}
        return cls(**named | times)


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


async def held_by(
    gateway: WebGateway, tenant: str | None, known: Iterable[Mapping[str, Any]]
) -> dict[str, AccountHeldView]:
    """Return the accounts of those connections that somebody can sign in to, by their names."""
    signed_in_to = [connection["name"] for connection in known if "oauth" in connection["config"]]
    if not signed_in_to:
        return {}
    told = {account["connection"]: account for account in await gateway.sign_in_states(tenant)}
    return {name: AccountHeldView.of(told.get(name, {"state": "none"})) for name in signed_in_to}
