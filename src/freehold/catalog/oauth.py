"""Whose accounts a connection can be signed in to, read from `oauth.toml` beside this file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

AUTHS: Final = frozenset({"basic", "post", "none"})
BODIES: Final = frozenset({"form", "json"})
REVOKES: Final = frozenset({"standard", "bearer", "github", "delete"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Who keeps accounts: where people sign in, where tokens are had, and what is special about it."""

    name: str = ""
    """As people know it; empty where a connection spells its provider out."""
    authorize: str = ""
    token: str = ""
    request: str = ""
    """Where a token is had to send somebody off with; only OAuth 1 has that, and where it is empty this is OAuth 2."""
    revoke: str = ""
    """Empty where tokens cannot be taken back."""
    device: str = ""
    """Where a sign-in on another device begins; empty where there is none."""
    issuer: str = ""
    """What it calls itself where it says so; empty: a host of its own."""
    hosts: tuple[str, ...] = ()
    """The only hosts a connection with this provider's tokens may lead to; none: any."""
    scopes: tuple[str, ...] = ()
    """What is asked for where a connection does not say."""
    separator: str = " "
    """What stands between scopes."""
    params: Mapping[str, str] = field(default_factory=dict)
    """What a sign-in says besides."""
    pkce: bool = True
    auth: str = "post"
    """How the client's secret is shown: basic, post (in the form), none."""
    body: str = "form"
    """How the token endpoint wants to be asked: form or json."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What every request to it says besides."""
    revoking: str = "standard"
    """standard (RFC 7009), bearer (the token shows itself), github (by the application), delete (what has its name)."""
    inject: str = ""
    """Where the token goes in a call, `{client_id}` with it; empty: it is a bearer's."""
    nested: str = ""
    """The member of the answer that holds the token where the answer itself does not."""
    account: tuple[str, ...] = ()
    """Where the answer says whose account it is: paths of members, the first that is there."""
    about: str = ""
    """What is asked with the fresh token to learn that, where the token's answer does not say."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What scopes mean, for people."""


_SEQUENCES: Final = ("hosts", "scopes", "account")
_TABLES: Final = ("params", "headers", "words")


@cache
def providers() -> Mapping[str, Provider]:
    """Return the providers that ship, by the name that a connection states."""
    tables = tomllib.loads(files("freehold.catalog").joinpath("oauth.toml").read_text("utf-8"))
    return MappingProxyType({name: _provider(name, told) for name, told in tables.items()})


def _provider(key: str, told: Mapping[str, Any]) -> Provider:
    shaped: dict[str, Any] = {name: tuple(told[name]) for name in _SEQUENCES if name in told}
    shaped |= {name: MappingProxyType(told[name]) for name in _TABLES if name in told}
    provider = Provider(**{**told, **shaped})
    if provider.auth not in AUTHS or provider.body not in BODIES or provider.revoking not in REVOKES:
        raise LookupError(f"The provider {key} is described by words nobody knows.")
    return provider
