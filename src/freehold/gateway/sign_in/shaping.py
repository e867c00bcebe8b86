"""What is said to a provider of accounts, and what it means by its answers. Nothing here sends anything."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, Final, final
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit

from freehold.core.errors import Denied, Unavailable
from freehold.gateway.oauth import Terms
from freehold.gateway.outward.exchange import Sent
from freehold.gateway.ports import Credential
from freehold.gateway.tokens import Granted

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
LONGEST: Final = timedelta(days=3650)
"""No token is believed to last longer."""
MOST_WORD: Final = 200
MOST_SCOPES: Final = 100
MOST_TOKEN: Final = 32_768
_ODD_KINDS: Final = frozenset({"mac", "dpop", "pop", "n_a"})
"""Tokens that are more than something to show."""
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_BROKE: Final = 500
_TOO_OFTEN: Final = 429
_OK: Final = 300


class ProviderRefused(Denied):
    """The provider said no; `said` is its word for it."""

    code = "oauth_refused"

    def __init__(self, said: str) -> None:
        """Say what it said, if that is a word."""
        self.said = said if _WORD.fullmatch(said) else ""
        super().__init__(
            f"The provider did not accept it{f': {self.said}' if self.said else ''}.",
            remedy="Look at the client id, its secret, the scopes and the redirect address that the provider knows.",
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What a browser is sent off with, and must come back with."""

    state: str
    verifier: str
    nonce: str
    redirect_uri: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a provider says when a sign-in begins on another device."""

    code: str
    user_code: str
    uri: str
    uri_complete: str
    interval: float
    """Nothing where it does not say."""
    lasts: timedelta


def address(terms: Terms, departure: Departure) -> str:
    """Return where a browser is sent to."""
    provider = terms.provider
    said = {**provider.params, "response_type": "code", "client_id": terms.client_id, "state": departure.state}
    said |= {"redirect_uri": departure.redirect_uri} | _scope(terms)
    if provider.pkce:
        hashed = hashlib.sha256(departure.verifier.encode()).digest()
        said["code_challenge"] = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
        said["code_challenge_method"] = "S256"
    if "openid" in provider.scopes:
        said["nonce"] = departure.nonce
    return provider.authorize + ("&" if urlsplit(provider.authorize).query else "?") + urlencode(said, quote_via=quote)


def code_form(terms: Terms, departure: Departure, code: str) -> dict[str, str]:
    """Return what is said to have a code turned into tokens."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": departure.redirect_uri}
    return form | ({"code_verifier": departure.verifier} if terms.provider.pkce else {})


def refresh_form(refresh: Credential) -> dict[str, str]:
    """Return what is said to have an access prolonged."""
    return {"grant_type": "refresh_token", "refresh_token": refresh.reveal()}


def device_form(terms: Terms) -> dict[str, str]:
    """Return what is said to begin a sign-in on another device."""
    return {"client_id": terms.client_id} | _scope(terms)


def poll_form(code: str) -> dict[str, str]:
    """Return what is said to ask whether somebody signed in on another device."""
    return {"grant_type": DEVICE_GRANT, "device_code": code}


def request(terms: Terms, url: str, form: Mapping[str, str], secret: Credential) -> Sent:
    """Return the request that says `form` to the provider, and who says it."""
    provider, said, headers = terms.provider, dict(form), dict(terms.provider.headers)
    if provider.auth == "basic" and secret:
        # RFC 6749 2.3.1: both are packed before they are joined.
        headers["Authorization"] = basic(quote_plus(terms.client_id), quote_plus(secret.reveal()))
    else:
        said["client_id"] = terms.client_id
        said |= {"client_secret": secret.reveal()} if secret and provider.auth == "post" else {}
    as_json = provider.body == "json"
    headers["Content-Type"] = "application/json" if as_json else "application/x-www-form-urlencoded"
    body = json.dumps(said) if as_json else urlencode(said)
    return Sent(method="POST", url=url, headers=headers | {"Accept": "application/json"}, body=body.encode())


def revocation(terms: Terms, token: Credential, secret: Credential, *, hint: str) -> Sent:
    """Return the request that has a token taken back, in the way its provider wants it."""
    provider = terms.provider
    url = provider.revoke.replace("{client_id}", quote(terms.client_id, safe=""))
    match provider.revoking:
        case "bearer":
            return Sent(method="POST", url=url, headers=shown(terms, token))
        case "delete":
            url = provider.revoke.replace("{token}", quote(token.reveal(), safe=""))
            return Sent(method="DELETE", url=url, headers=shown(terms, token))
        case "github":
            headers = {"Authorization": basic(terms.client_id, secret.reveal()), "Content-Type": "application/json"}
            body = json.dumps({"access_token": token.reveal()}).encode()
            return Sent(method="DELETE", url=url, headers=headers, body=body)
        case _:
            return request(terms, url, {"token": token.reveal(), "token_type_hint": hint}, secret)


def shown(terms: Terms, token: Credential) -> dict[str, str]:
    """Return the headers that show a token to the provider that gave it."""
    template = terms.provider.inject.partition("=")[2] or "Bearer {secret}"
    return {"Authorization": template.replace("{client_id}", terms.client_id).replace("{secret}", token.reveal())}


def about(terms: Terms, token: Credential) -> Sent:
    """Return what asks whose account a token opens."""
    return Sent(method="GET", url=terms.provider.about, headers=shown(terms, token) | {"Accept": "application/json"})


def basic(user: str, password: str) -> str:
    """Return the header that shows a user and a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def told(status: int, content_type: str, body: bytes) -> dict[str, Any]:
    """
    Return what the provider answered, JSON or a form.

    Raises `ProviderRefused` where it says no, also where it does so with a status of success; `Unavailable` where it is
    not itself.
    """
    if status >= _BROKE or status == _TOO_OFTEN:
        raise away()
    said = _object(content_type, body)
    error = said.get("error")
    if isinstance(error, str) and error:
        raise ProviderRefused(error)
    if status >= _OK or error or said.get("ok") is False:
        raise ProviderRefused(str(said.get("code", "")) if isinstance(said.get("code"), str) else "")
    return said


def taken_back(status: int, content_type: str, body: bytes) -> bool:
    """Return whether an answer says that a token was taken back; what it says besides is nobody's business."""
    try:
        return status < _OK and _object(content_type, body).get("ok") is not False
    except ProviderRefused:
        return status < _OK


def granted(terms: Terms, said: Mapping[str, Any]) -> Granted:
    """Return the tokens of an answer; raise `ProviderRefused` where there are none that can be used."""
    within = said if terms.signed or "access_token" in said else said.get(terms.provider.nested)
    if not isinstance(within, dict):
        raise ProviderRefused("no_access_token")
    names = ("oauth_token" if terms.signed else "access_token", "refresh_token", "token_type")
    access, refresh, kind = (within.get(name) for name in names)
    if not _token(access) or str(kind or "bearer").lower() in _ODD_KINDS:
        raise ProviderRefused("no_access_token")
    return Granted(
        access=Credential(str(access)),
        refresh=Credential(str(refresh)) if _token(refresh) else Credential(),
        lasts=_lasts(within.get("expires_in")),
        scopes=_scopes(within.get("scope")),
    )


def device(said: Mapping[str, Any]) -> Device:
    """Return what an answer says of a sign-in on another device; raise `ProviderRefused` where that is nothing."""
    uri, complete = said.get("verification_uri", said.get("verification_url")), said.get("verification_uri_complete")
    code, user_code, lasts = said.get("device_code"), said.get("user_code"), _lasts(said.get("expires_in"))
    if not (_token(code) and _token(user_code) and _shown(uri)) or lasts is None:
        raise ProviderRefused("no_device_code")
    return Device(
        code=str(code),
        user_code=str(user_code)[:MOST_WORD],
        uri=str(uri),
        uri_complete=str(complete) if _shown(complete) else "",
        interval=_number(said.get("interval")),
        lasts=lasts,
    )


def same_issuer(terms: Terms, issuer: str | None) -> bool:
    """Return whether who sent a browser back, as it says (RFC 9207), is who it was sent to."""
    if issuer is None:
        return True
    if terms.provider.issuer:
        return issuer == terms.provider.issuer
    theirs, ours = urlsplit(issuer), urlsplit(terms.provider.authorize)
    return (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)


def away() -> Unavailable:
    """Return the error that tells the provider cannot be asked."""
    return Unavailable("The provider of the account is away.", code="oauth_away", remedy="Try again in a moment.")


def _scope(terms: Terms) -> dict[str, str]:
    scopes = terms.provider.scopes
    return {"scope": terms.provider.separator.join(scopes)} if scopes else {}


def _object(content_type: str, body: bytes) -> dict[str, Any]:
    plain = content_type.startswith("text/plain") and not body.lstrip().startswith((b"{", b"["))
    if "x-www-form-urlencoded" in content_type or plain:
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        said = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ProviderRefused("no_json") from error
    if not isinstance(said, dict):
        raise ProviderRefused("no_json")
    return said


def _token(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MOST_TOKEN and value.isascii() and value.isprintable()


def _shown(url: object) -> bool:
    """Return whether this is an address that people may be shown."""
    return isinstance(url, str) and _token(url) and url.startswith(("https://", "http://"))


def _lasts(stated: object) -> timedelta | None:
    seconds = _number(stated)
    return timedelta(seconds=min(seconds, LONGEST.total_seconds())) if seconds > 0 else None


def _number(stated: object) -> float:
    try:
        return float(stated) if isinstance(stated, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _scopes(stated: object) -> tuple[str, ...] | None:
    if not isinstance(stated, str) or not stated.strip():
        return None
    words = (word for word in re.split(r"[ ,]+", stated.strip()) if word.isprintable())
    return tuple(word[:MOST_WORD] for word in islice(words, MOST_SCOPES))
