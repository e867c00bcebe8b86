"""
OAuth 1.0a (RFC 5849), which some providers never left: every question to them is signed with the client's secret.

A person is sent off with a token that is good for nothing else, and comes back with a word that turns it into the one
that opens the account.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from freehold.gateway.oauth import Terms
from freehold.gateway.outward.exchange import Sent
from freehold.gateway.ports import Credential
from freehold.gateway.sign_in.shaping import Departure, ProviderRefused


def back(departure: Departure) -> str:
    """Return where the provider leads back to; it knows no state, so that stands in the address."""
    sign = "&" if urlsplit(departure.redirect_uri).query else "?"
    return f"{departure.redirect_uri}{sign}{urlencode({'state': departure.state})}"


def requested(terms: Terms, departure: Departure, secret: Credential, *, at: datetime) -> Sent:
    """Return what asks for a token to send somebody off with."""
    said = {"oauth_callback": back(departure)}
    return _signed(terms, terms.provider.request, said, secret.reveal(), nonce=departure.nonce, at=at)


def token_in(said: Mapping[str, Any]) -> dict[str, str]:
    """Return the token to send somebody off with, and its secret; raise `ProviderRefused` where there is none."""
    token, secret = said.get("oauth_token"), said.get("oauth_token_secret")
    if not isinstance(token, str) or not isinstance(secret, str) or said.get("oauth_callback_confirmed") != "true":
        raise ProviderRefused("no_request_token")
    return {"token": token, "token_secret": secret}


def address(terms: Terms, token: str) -> str:
    """Return where a browser is sent to."""
    said = {**terms.provider.params, "oauth_token": token}
    if terms.provider.scopes:
        said["scope"] = terms.provider.separator.join(terms.provider.scopes)
    return f"{terms.provider.authorize}?{urlencode(said, quote_via=quote)}"


def exchanged(terms: Terms, told: Mapping[str, str], word: str, secret: Credential, *, at: datetime) -> Sent:
    """Return what asks for the token that opens the account, for somebody who came back with `word`."""
    said = {"oauth_token": told["token"], "oauth_verifier": word}
    keys = secret.reveal(), told["token_secret"]
    return _signed(terms, terms.provider.token, said, *keys, nonce=told["verifier"], at=at)


def _signed(
    terms: Terms, url: str, said: Mapping[str, str], secret: str, token_secret: str = "", *, nonce: str, at: datetime
) -> Sent:
    told = {
        **said,
        "oauth_consumer_key": terms.client_id,
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(int(at.timestamp())),
        "oauth_version": "1.0",
    }
    parts = urlsplit(url)
    pairs = sorted((_packed(name), _packed(value)) for name, value in [*told.items(), *parse_qsl(parts.query)])
    plain = f"{parts.scheme}://{parts.netloc}{parts.path}"
    base = "&".join(_packed(part) for part in ("POST", plain, "&".join(f"{name}={value}" for name, value in pairs)))
    key = f"{_packed(secret)}&{_packed(token_secret)}".encode()
    signature = base64.b64encode(hmac.new(key, base.encode(), hashlib.sha1).digest()).decode()
    shown = ", ".join(f'{name}="{_packed(value)}"' for name, value in (told | {"oauth_signature": signature}).items())
    return Sent(method="POST", url=url, headers={"Authorization": f"OAuth {shown}", "Content-Length": "0"})


def _packed(text: str) -> str:
    return quote(text, safe="~")
