"""
What a connection says of signing in: with which provider, as which client, and what for.

    "oauth": {"preset": "github", "client_id": "…", "client_secret": "NAME", "scopes": ["repo"]}

A provider that does not ship is spelt out: `authorize`, `token`, and what else it has. The client's secret is named
here and lies in the vault.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, final
from urllib.parse import urlsplit

import msgspec

from freehold.audit.canonical import digest
from freehold.catalog.oauth import AUTHS, Provider, providers
from freehold.core.errors import Denied, Invalid
from freehold.gateway.outward.hosts import place_in

FIELD: Final = "oauth"
KINDS: Final = frozenset({"http", "mcp", "search"})
"""Kinds of connections that can be signed in."""
_ADDRESS: Final = "base_url"
"""Where the config of a connection says where it leads."""
_PLACES: Final = ("request", "authorize", "token", "revoke", "device", "about")
"""Where requests go that show a token, a code or the client's secret."""
_KEY: Final = re.compile(r"[A-Za-z0-9._-]+")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OURS: Final = frozenset(
    {
        "response_type",
        "client_id",
        "client_secret",
        "redirect_uri",
        "state",
        "scope",
        "nonce",
        "code",
        "code_challenge",
        "code_challenge_method",
        "grant_type",
    }
)
"""What a sign-in says in our words only."""


class _Stated(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The words a connection may say it in."""

    client_id: str
    client_secret: str | None = None
    preset: str = ""
    authorize: str = ""
    token: str = ""
    request: str = ""
    revoke: str = ""
    device: str = ""
    issuer: str = ""
    about: str = ""
    scopes: list[str] | None = None
    auth: str = ""
    params: dict[str, str] = {}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a connection is signed in."""

    provider: Provider
    client_id: str
    secret: str | None
    """The name of the secret that holds the client's; none where the client has none."""

    @property
    def host(self) -> str:
        """The host that people are sent to."""
        return urlsplit(self.provider.authorize).hostname or ""

    @property
    def signed(self) -> bool:
        """Whether the provider speaks OAuth 1, in which every question is signed."""
        return bool(self.provider.request)

    @property
    def mark(self) -> str:
        """What it is known by: tokens that were had under other terms are not used, or sent anywhere, under these."""
        return digest([self.client_id, *(getattr(self.provider, name) for name in (*_PLACES, "issuer", "auth"))])


def terms_of(config: Mapping[str, Any]) -> Terms | None:
    """Return how a connection with this configuration is signed in; none where it is not."""
    if config.get(FIELD) is None:
        return None
    try:
        stated = msgspec.convert(config[FIELD], _Stated)
    except msgspec.ValidationError as error:
        raise bad(f"`oauth` does not look as it must: {error}.") from error
    if stated.preset and stated.preset not in providers():
        raise bad(f"There is no preset {stated.preset[:40]!r}; there are {', '.join(sorted(providers()))}.")
    return Terms(provider=_provider(stated), client_id=stated.client_id, secret=stated.client_secret)


def required(config: Mapping[str, Any], connection: str) -> Terms:
    """Return how a connection is signed in; raise `Invalid` (`no_oauth`) where it is not."""
    terms = terms_of(config)
    if terms is None:
        raise Invalid(
            f"The connection {connection!r} is not signed in to an account; it uses a secret, or nothing.",
            code="no_oauth",
            remedy="Make the connection with --oauth PRESET and --client-id, or set its secret.",
        )
    return terms


def injection(config: Mapping[str, Any]) -> str:
    """Return where the token of a connection that is signed in goes, as `inject` says it; empty where it is not."""
    terms = terms_of(config)
    if terms is None:
        return ""
    return (terms.provider.inject or "header:Authorization").replace("{client_id}", terms.client_id)


def mark_of(config: Mapping[str, Any]) -> str:
    """Return what the terms of a connection are known by; empty where it has none that can be read."""
    try:
        terms = terms_of(config)
    except Invalid:
        return ""
    return terms.mark if terms else ""


def check(kind: str, config: Mapping[str, Any]) -> Terms | None:
    """Raise `Invalid` (`bad_oauth`) where a connection of `kind` could never be signed in like this."""
    terms = terms_of(config)
    if terms is None:
        return None
    if kind not in KINDS:
        raise bad(f"A connection of kind {kind} cannot be signed in.")
    wrong = next(_faults(terms, config), "")
    if wrong:
        raise bad(wrong)
    return terms


def not_connected(connection: str, *, why: str = "") -> Denied:
    """Return the error that tells that nobody is signed in."""
    return Denied(
        why or f"Nobody is signed in to the account of {connection!r}.",
        code="not_connected",
        remedy=f"A person has to sign in: freehold connection connect {connection}",
    )


def bad(why: str) -> Invalid:
    """Return the error that tells what cannot be right."""
    return Invalid(
        why,
        code="bad_oauth",
        remedy="State a preset or the addresses of authorize and token, the client_id, and a base_url that goes with them.",
    )


def _provider(stated: _Stated) -> Provider:
    base = providers()[stated.preset] if stated.preset else Provider(auth="basic" if stated.client_secret else "none")
    known = {one.name for one in fields(Provider)}
    said = {name: value for name, value in msgspec.structs.asdict(stated).items() if name in known and value}
    said["params"] = {**base.params, **stated.params}
    if stated.scopes is not None:
        said["scopes"] = tuple(stated.scopes)
    if not stated.client_secret and not stated.auth:
        said["auth"] = "none"
    if stated.token or stated.authorize:  # another house with the same furniture: what is known of hosts is not its
        said |= {name: getattr(stated, name) for name in ("issuer", "request", "revoke", "device", "about")}
        said |= {"hosts": (), "name": ""}
    return replace(base, **said)


def _faults(terms: Terms, config: Mapping[str, Any]) -> Iterator[str]:
    provider = terms.provider
    yield from _of_client(terms)
    if not provider.authorize or not provider.token:
        yield "`oauth` needs a preset, or the addresses of both authorize and token."
    if "" in provider.scopes or any(provider.separator in scope or " " in scope for scope in provider.scopes):
        yield "Each of the scopes is one word."
    if taken := sorted(_OURS & provider.params.keys()):
        yield f"`params` cannot say {', '.join(taken)}."
    for name in _PLACES:
        if (address := getattr(provider, name)) and not _safe(address):
            yield f"The address of {name} must be https:// without user, password and fragment."
    yield from _astray(provider, config)


def _of_client(terms: Terms) -> Iterator[str]:
    auth = terms.provider.auth
    if not terms.client_id.strip():
        yield "`oauth` needs a client_id: the one that the provider gave your application."
    if auth not in AUTHS or (auth != "none") != (terms.secret is not None):
        yield "`oauth` needs a client_secret exactly where `auth` is basic or post, and not where it is none."
    if terms.signed and (terms.secret is None or not _KEY.fullmatch(terms.client_id)):
        yield "This provider gave your application a key, which is the client_id, and a secret: state both."


def _astray(provider: Provider, config: Mapping[str, Any]) -> Iterator[str]:
    """Tell where the connection leads elsewhere than the provider's tokens may go."""
    if not provider.hosts or not config.get(_ADDRESS):
        return
    if not _among(place_in(str(config[_ADDRESS])).host.name, provider.hosts):
        yield f"Tokens of {provider.name} go to {', '.join(provider.hosts)} only, and `{_ADDRESS}` leads elsewhere."


def _among(host: str, hosts: tuple[str, ...]) -> bool:
    return any(host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in hosts)


def _safe(url: str) -> bool:
    place = place_in(url)
    scheme = urlsplit(url).scheme
    return "#" not in url and (scheme == "https" or (scheme == "http" and place.host.name in _LOOPBACK))
