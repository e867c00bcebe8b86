"""A request as it goes to a connection's server: judged, without anything of the caller's that opens something."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, final
from urllib.parse import urlsplit

from freehold.gateway.ports import Credential
from freehold.gateway.requesting import allowing, callers, injecting, paths


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """What is sent. It holds the credential, so it shows itself to nobody."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    base: str = field(repr=False)
    """The connection's address, with the credential if its place is there: what redirects are compared with."""
    path: str
    """Below the address, in its one spelling; for the record."""
    blotted: tuple[Credential, ...]
    """What must not come back."""


def shape(
    config: Mapping[str, Any],
    credential: Credential,
    method: str,
    path: str | bytes,
    query: str | bytes,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
) -> Shaped:
    """
    Return the request that `config` makes of what a caller asked: `path` and `query` below its address.

    Raises `Invalid` (`bad_path`, `bad_header`, `bad_secret`), and `Denied` (`path_refused`) for what is not allowed.
    """
    plain = paths.plain(path)
    allowing.required(config, method, plain)
    place, (kept_headers, kept_parameters) = injecting.place_of(config), callers.names(config)
    own = fixed(config)
    taken = frozenset({callers.same_header(name) for name in own} | {place.header})
    said = callers.headers(headers, kept=kept_headers, taken=taken)
    asked = callers.query(query, kept=kept_parameters, taken=frozenset({place.parameter}))
    address = str(config["base_url"]).rstrip("/")
    base, sent = injecting.inject(config, credential, address, said | own) if place.kind == "path" else (address, None)
    url = base + plain + (f"?{asked}" if asked else "")
    if sent is None:
        url, sent = injecting.inject(config, credential, url, said | own)
    if "user-agent" in sent:
        sent["User-Agent"] = sent.pop("user-agent")  # as the client spells its own, so that it is said once
    return Shaped(url=url, headers=sent, base=base, path=plain, blotted=injecting.blotted(config, credential))


def fixed(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that the connection itself states, in lower case."""
    return {name.lower(): value for name, value in (config.get("headers") or {}).items()}


def target(config: Mapping[str, Any], path: str) -> str:
    """Return the path at the server without any credential, as the record tells it."""
    return urlsplit(str(config["base_url"]).rstrip("/")).path + path
