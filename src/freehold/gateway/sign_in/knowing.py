"""Whose account it is that a provider gave tokens for, as far as it says so."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from freehold.gateway.oauth import Terms
from freehold.gateway.sign_in.shaping import ProviderRefused

MOST_ACCOUNT: Final = 200


def claims(terms: Terms, said: Mapping[str, Any], *, nonce: str, issuer: str, at: datetime) -> Mapping[str, Any]:
    """
    Return what an answer's ID token says; nothing where none was asked for. No nonce: it cannot have one.

    It came straight from the provider and over TLS, which stands for its signature (OpenID Connect Core 3.1.3.7).
    Raises `ProviderRefused` where it was made for another sign-in, for another client or by another provider.
    """
    if "openid" not in terms.provider.scopes or (not nonce and "id_token" not in said):
        return {}
    found = _opened(said.get("id_token"))
    audience = found.get("aud")
    meant = terms.client_id in (audience if isinstance(audience, list) else [audience])
    known = terms.provider.issuer or issuer
    expires = found.get("exp")
    late = not isinstance(expires, int | float) or expires <= at.timestamp()
    if (nonce and found.get("nonce") != nonce) or not meant or late or (known and found.get("iss") != known):
        raise ProviderRefused("wrong_id_token")
    return found


def account_in(terms: Terms, *tellings: Mapping[str, Any]) -> str:
    """Return whose account it is as `tellings` say it, the first that does; empty where none does."""
    paths = (*terms.provider.account, "email", "preferred_username", "login", "sub")
    for path in paths:
        for telling in tellings:
            if name := "".join(sign for sign in _at(telling, path) if sign.isprintable()):
                return name[:MOST_ACCOUNT]
    return ""


def _opened(token: object) -> Mapping[str, Any]:
    if not isinstance(token, str) or token.count(".") != 2:  # noqa: PLR2004 - head, claims, signature
        raise ProviderRefused("no_id_token")
    packed = token.split(".")[1]
    try:
        found = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    except (ValueError, RecursionError) as error:
        raise ProviderRefused("no_id_token") from error
    if not isinstance(found, dict):
        raise ProviderRefused("no_id_token")
    return found


def _at(telling: object, path: str) -> str:
    for step in path.split("."):
        telling = telling.get(step) if isinstance(telling, dict) else None
    return telling if isinstance(telling, str) else ""
