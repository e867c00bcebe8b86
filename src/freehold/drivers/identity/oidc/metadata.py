"""What a provider says about itself, as far as we go by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from freehold.drivers.identity.oidc.fetching import refused, safe

SIGNED: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
"""How an ID token may be signed: by a key that only the provider has. `none` and the HS family are not among them."""
WANTED: Final = ("openid", "email", "profile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Where a provider is asked for what, and how."""

    authorize: str
    token: str
    userinfo: str
    keys: str
    goodbye: str
    algorithms: frozenset[str]
    scope: str
    secret_in_form: bool
    """Whether it takes the client secret only in the form, not in the header."""
    names_itself: bool
    """Whether it promises to say who it is when it sends somebody back (RFC 9207)."""


def read(found: Mapping[str, Any], *, issuer: str) -> Metadata:
    """Return what `found` says; raise `Denied` (`oidc_refused`) where it is another's, or asks for what is unsafe."""
    if found.get("issuer") != issuer:
        raise refused("The provider calls itself by another name than FREEHOLD_OIDC_ISSUER.")
    needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    further = tuple(name for name in ("userinfo_endpoint", "end_session_endpoint") if found.get(name))
    if not all(safe(found.get(name)) for name in needed + further):
        raise refused("The provider names an address that is not HTTPS.")
    algorithms = SIGNED & _words(found, "id_token_signing_alg_values_supported", ("RS256",))
    if not algorithms:
        raise refused("The provider signs in no way that we trust.")
    methods = _words(found, "token_endpoint_auth_methods_supported", ("client_secret_basic",))
    return Metadata(
        authorize=str(found["authorization_endpoint"]),
        token=str(found["token_endpoint"]),
        userinfo=str(found.get("userinfo_endpoint") or ""),
        keys=str(found["jwks_uri"]),
        goodbye=str(found.get("end_session_endpoint") or ""),
        algorithms=algorithms,
        # A scope that a provider does not know may be an error to it, so groups are asked for only where they are one.
        scope=" ".join((*WANTED, *({"groups"} & _words(found, "scopes_supported", ())))),
        secret_in_form="client_secret_basic" not in methods and "client_secret_post" in methods,
        names_itself=found.get("authorization_response_iss_parameter_supported") is True,
    )


def _words(found: Mapping[str, Any], name: str, usual: tuple[str, ...]) -> frozenset[str]:
    value = found.get(name, usual)
    return (
        frozenset(word for word in value if isinstance(word, str)) if isinstance(value, list | tuple) else frozenset()
    )
