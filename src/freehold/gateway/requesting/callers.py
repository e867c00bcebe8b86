"""
What of a caller's headers and query goes on: nothing by which servers take somebody for somebody.

A credential of the caller's own would make a host that is allowed a way out for whatever can be said to it, and a
header that changes method, path or host would make what was judged another thing. Which names mean that, no list knows
wholly, so whole words are looked for. A connection can `keep` names that look like it and are not.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote_plus

from freehold.core.errors import Invalid

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PACKED: Final = re.compile(
    r"auth|token|secret|cookie|credential|passw|api-?key|access-?key|bearer|jwt|signature|impersonat|sudo"
    r"|session|behalf|delegat|as-user|act-as|acting-as|select-user|select-admin|boxapi"
)
_WORDS: Final = frozenset({"key", "keys", "sig", "pat", "account", "pin", "otp"})
_HARMLESS: Final = frozenset({"idempotency-key", "surrogate-key", "author", "mcp-session-id"})
HOPS: Final = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"})
"""Headers between two machines next to each other."""
TRACES: Final = frozenset({"via", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"})
"""Headers by which machines on the way tell of whoever stands behind them."""
_BETWEEN: Final = HOPS | TRACES | frozenset(
    {
        "expect", "host", "content-length", "accept-encoding", "max-forwards", "from", "referer", "origin",
        "x-client-ip", "x-cluster-client-ip", "true-client-ip", "x-original-url", "x-rewrite-url", "x-http-method",
        "x-method-override", "x-http-method-override", "x-original-method", "x-host", "x-url",
        "x-envoy-original-path", "x-arr-log-id",
    }
)  # fmt: skip
_BEGINNINGS: Final = ("proxy-", "x-forwarded", "x-original-", "sec-", "cf-", "x-envoy-", "x-remote-", "x-ssl-")
_OWN_QUERY: Final = frozenset(
    {
        "accesskey", "accesstoken", "actas", "apikey", "apitoken", "appkey", "applicationkey", "asuser", "asuserid", "auth", "authkey", "authorization",
        "authtoken", "bearer", "bearertoken", "clientsecret", "credential", "credentials", "idtoken", "impersonate", "jsessionid", "jwt", "key",
        "method", "oauthsignature", "oauthtoken", "onbehalfof", "passwd", "phpsessid", "password", "privatetoken", "refreshtoken", "secret",
        "sessionid", "sessiontoken", "sudo", "sig", "signature", "subscriptionkey", "token", "xamzcredential", "xamzsecuritytoken",
        "xamzsignature", "xapikey", "xgoogcredential", "xgoogsignature", "xhttpmethodoverride",
    }
)  # fmt: skip
_METHOD: Final = "method"
"""`_method` changes the method for some frameworks; spelt without its underscore it is a word like others."""
_SAFE: Final = "!$'()*,/:?@%+-._~[]|"
"""What stays as it is in a query: readers agree about these. A `;` ends a parameter for some of them."""


def headers(
    stated: Mapping[str, str] | Iterable[tuple[str, str]], *, kept: frozenset[str], taken: frozenset[str]
) -> dict[str, str]:
    """
    Return what goes on of a caller's headers, in lower case: what is harmless or `kept`, and not `taken`.

    Raises `Invalid` (`bad_header`) for what is no header. Of one that is said twice, all that is said goes on.
    """
    pairs = list(stated.items() if isinstance(stated, Mapping) else stated)
    named = {one.strip().lower() for name, value in pairs if name.lower() == "connection" for one in value.split(",")}
    found: dict[str, str] = {}
    for name, value in pairs:
        if not is_name(name) or not _VALUE.fullmatch(value):
            raise bad_header(name)
        key, same = name.lower(), same_header(name)
        if key in named or same in taken or is_between(same) or not (same in kept or _harmless(same)):
            continue
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def query(stated: str | bytes, *, kept: frozenset[str], taken: frozenset[str]) -> str:
    """
    Return what goes on of a caller's query, as it was spelt: all but what is `taken` or could be a key of its own.

    Text is what the bytes on the wire are in Latin-1; signs beyond that mean their UTF-8 bytes.
    """
    text = stated.decode("latin-1") if isinstance(stated, bytes) else _bytes_of(stated)
    return "&".join(
        quote(piece, safe=_SAFE + "=", encoding="latin-1")
        for piece in text.split("&")
        if piece and not _own(piece.partition("=")[0], kept, taken)
    )


def _bytes_of(text: str) -> str:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("latin-1")
    return text


def same_header(name: str) -> str:
    """Return a header's name as servers compare it; some hand `-` and `_` on as the same."""
    return name.lower().replace("_", "-")


def same_parameter(name: str) -> str:
    """Return a parameter's name as it is compared here: `api-key`, `api_key` and `api.key[]` are one."""
    return "".join(sign for sign in name.partition("[")[0].lower() if sign.isalnum())


def is_name(stated: str) -> bool:
    """Return whether a header may be called so."""
    return _TOKEN.fullmatch(stated) is not None


def bad_header(name: str) -> Invalid:
    """Return the error that tells that something is no header."""
    return Invalid(
        f"{name[:80]!r} cannot be sent as a header.",
        code="bad_header",
        remedy="Names have letters, digits and dashes, values neither line breaks nor signs beyond Latin-1.",
    )


def is_between(same: str) -> bool:
    """Return whether a header is about the way and not the request: who is asked, by whom, how it is packed."""
    return same in _BETWEEN or same.startswith(_BEGINNINGS)


@lru_cache(maxsize=1_024)
def _harmless(same: str) -> bool:
    return same in _HARMLESS or not (_WORDS.intersection(same.split("-")) or _PACKED.search(same))


def _own(spelt: str, kept: frozenset[str], taken: frozenset[str]) -> bool:
    said = unquote_plus(spelt)
    same = same_parameter(said)
    if same in taken or same_parameter(unquote_plus(said)) in taken:
        return True
    if same in kept:
        return False
    own = same in _OWN_QUERY or same_parameter(unquote_plus(said)) in _OWN_QUERY
    return own and (same != _METHOD or said.startswith("_"))


def names(config: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the headers and the parameters that `config` keeps, as they are compared."""
    stated = config.get("keep") or ()
    pairs = [one.partition(":") for one in stated if isinstance(one, str)]
    heads = frozenset(same_header(name) for place, _, name in pairs if place == "header")
    return heads, frozenset(same_parameter(name) for place, _, name in pairs if place == "query")
