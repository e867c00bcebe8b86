"""What a provider signed: checked before a word of it is believed."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from freehold.core.ceremonies import Claims
from freehold.drivers.identity.oidc.fetching import refused

SKEW: Final = 60
"""Seconds by which the provider's clock and ours may differ."""
MOST_GROUPS: Final = 1000
LONGEST: Final = 255
GOODBYE: Final = "http://schemas.openid.net/event/backchannel-logout"


def kid_of(token: str) -> str | None:
    """Return the name of the key that `token` says it is signed with; nothing is believed by that."""
    from joserfc.errors import JoseError  # noqa: PLC0415 - a gateway without a provider never loads it
    from joserfc.jws import extract_compact  # noqa: PLC0415

    try:
        found = extract_compact(token.encode()).headers().get("kid")
    except (JoseError, ValueError) as error:
        raise refused("The provider's token is none.") from error
    return found if isinstance(found, str) else None


def knows(keys: Mapping[str, Any], kid: str | None) -> bool:
    """Return whether a key of that name is among `keys`."""
    return kid is None or any(key.get("kid") == kid for key in _listed(keys))


def opened(
    token: str, keys: Mapping[str, Any], *, algorithms: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of `token`; raise `Denied` where no key of the provider's signed it."""
    from joserfc import jwt  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import KeySet  # noqa: PLC0415

    signing = [key for key in _listed(keys) if key.get("use") in {None, "sig"} and key.get("kty") != "oct"]
    try:
        found = jwt.decode(token, KeySet.import_key_set({"keys": signing}), algorithms=list(algorithms))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise refused("The provider's signature does not hold.") from error
    return dict(found.header), dict(found.claims)


def checked(  # every one of these is a question of the standard
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    *,
    issuer: str,
    client: str,
    nonce: str,
    access_token: str,
    now: int,
) -> str:
    """Return whom an ID token is about; raise `Denied` naming what of it is not right."""
    from authlib.oidc.core import CodeIDToken  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415

    token = CodeIDToken(
        dict(claims),
        dict(header),
        options=_expected(issuer, client),
        params={"nonce": nonce, "client_id": client, "access_token": access_token},
    )
    try:
        token.validate(now=now, leeway=SKEW)
    except (JoseError, ValueError, TypeError) as error:
        raise refused(f"Of the provider's ID token, {_named(error)} is not right.") from error
    return _subject(claims)


def goodbye(claims: Mapping[str, Any], *, issuer: str, client: str, now: int) -> tuple[str, int]:
    """Return who signed out, and when; raise `Denied` where `claims` are no logout token for us."""
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwt import JWTClaimsRegistry  # noqa: PLC0415

    expected: dict[str, Any] = _expected(issuer, client)
    try:
        JWTClaimsRegistry(now, SKEW, **expected).validate(dict(claims))
    except (JoseError, ValueError, TypeError) as error:
        raise refused(f"Of the provider's logout token, {_named(error)} is not right.") from error
    events = claims.get("events")
    if not isinstance(events, dict) or GOODBYE not in events or "nonce" in claims:
        raise refused("This is no logout token.")
    return _subject(claims), int(claims["iat"])


def told(
    subject: str, token: Mapping[str, Any], info: Mapping[str, Any], *, issuer: str, groups: str, trust: bool
) -> Claims:
    """
    Return what the provider says about somebody, in the ID token or when asked for more.

    With `trust`, its addresses count as verified although it does not say so.
    """
    if info and info.get("sub") != subject:
        raise refused("The provider speaks of two different people.")
    said = info if info.get("email") else token
    email, name = said.get("email"), info.get("name", token.get("name"))
    return Claims(
        issuer=issuer,
        subject=subject,
        email=email if isinstance(email, str) else "",
        verified=said.get("email_verified") in (True, "true") or (trust and "email_verified" not in said),
        name=name[:200] if isinstance(name, str) else "",
        groups=_groups(info.get(groups, token.get(groups))),
    )


def _expected(issuer: str, client: str) -> dict[str, Any]:
    return {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": client},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST:
        raise refused("The provider's token names nobody.")
    return subject


def _groups(found: object) -> frozenset[str]:
    listed = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(group for group in listed[:MOST_GROUPS] if isinstance(group, str))


def _listed(keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = keys.get("keys")
    return [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []


def _named(error: Exception) -> str:
    claim = getattr(error, "claim", None)
    return repr(claim) if isinstance(claim, str) else "a claim"
