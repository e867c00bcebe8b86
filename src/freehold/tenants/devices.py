"""
What a device says when it makes or shows a passkey, checked by WebAuthn's rules.

The library reads what strangers send, in five formats inside each other. Whatever it stumbles over is a refusal.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from freehold.core.ceremonies import Passkey
from freehold.core.errors import Denied
from freehold.core.people import Person

PATIENCE: Final = 300_000
"""Milliseconds a device may take; as long as its challenge holds."""
UNAUTHENTICATED: Final = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Whom passkeys are made for: they work nowhere else."""

    id: str
    """The host; what browsers bind a passkey to."""
    origin: str
    """The pages that may ask for one, exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A passkey that a device has just made."""

    credential: str
    public_key: bytes
    signs: int
    synced: bool


def party_of(base_url: str) -> Party | None:
    """
    Return whom passkeys are made for at `base_url`; none where browsers make none.

    They want a name, and HTTPS. Loopback is the exception, but under its name: browsers bind nothing to a number.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme == "http" and (host == "localhost" or _is_loopback(host)):
        port = f":{parts.port}" if parts.port else ""
        return Party(id="localhost", origin=f"http://localhost{port}")
    if parts.scheme != "https" or _address(host) is not None:
        return None
    return Party(id=host, origin=f"https://{parts.netloc}".lower().removesuffix(":443"))


def making(party: Party, person: Person, challenge: str, known: Iterable[Passkey]) -> dict[str, Any]:
    """Return what a browser hands its device so that it makes a passkey for `person`, and none twice."""
    from webauthn import generate_registration_options, options_to_json  # noqa: PLC0415 - a tenth of a second
    from webauthn.helpers import structs  # noqa: PLC0415

    options = generate_registration_options(
        rp_id=party.id,
        rp_name="Freehold",
        user_id=person.id.encode(),
        user_name=person.email,
        user_display_name=person.name or person.email,
        challenge=_bytes(challenge),
        timeout=PATIENCE,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=_bytes(one.credential)) for one in known],
    )
    return dict(json.loads(options_to_json(options)))


def showing(party: Party, challenge: str) -> dict[str, Any]:
    """Return what a browser hands its device so that it shows a passkey; whose, the device knows."""
    from webauthn import generate_authentication_options, options_to_json  # noqa: PLC0415
    from webauthn.helpers.structs import UserVerificationRequirement  # noqa: PLC0415

    options = generate_authentication_options(
        rp_id=party.id,
        challenge=_bytes(challenge),
        timeout=PATIENCE,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(json.loads(options_to_json(options)))


def challenge_in(credential: Mapping[str, Any]) -> str:
    """Return the challenge that a device says it answers; whether we gave it, its ceremony tells."""
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415

    try:
        said = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        return str(said["challenge"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise refused() from error


def made(party: Party, credential: Mapping[str, Any], challenge: str) -> Made:
    """Return the passkey a device made as an answer to `challenge`; raise `Denied` where it did not do as it should."""
    from webauthn import verify_registration_response  # noqa: PLC0415
    from webauthn.helpers import bytes_to_base64url  # noqa: PLC0415

    try:
        found = verify_registration_response(
            credential=dict(credential),
            expected_challenge=_bytes(challenge),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception as error:
        raise refused() from error
    return Made(
        credential=bytes_to_base64url(found.credential_id),
        public_key=found.credential_public_key,
        signs=found.sign_count,
        synced=found.credential_backed_up,
    )


def shown(party: Party, credential: Mapping[str, Any], challenge: str, passkey: Passkey) -> int:
    """Return how often the device has signed, now that it showed `passkey`; raise `Denied` where it did not."""
    from webauthn import verify_authentication_response  # noqa: PLC0415
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415

    try:
        found = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=_bytes(challenge),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # compared by us, in the transaction that writes it
            require_user_verification=True,
        )
        owner = base64url_to_bytes(credential["response"].get("userHandle") or "")
    except Exception as error:
        raise refused() from error
    if owner and owner != passkey.person.encode():
        raise refused()
    return found.new_sign_count


def refused() -> Denied:
    """Return the refusal of what a device sent: one and the same, whatever was wrong with it."""
    return Denied(
        "This passkey is not accepted.",
        code="bad_passkey",
        status=UNAUTHENTICATED,
        remedy="Try again; if it stays, sign in another way and add the passkey anew.",
    )


def _bytes(text: str) -> bytes:
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415

    return base64url_to_bytes(text)


def _address(host: str) -> object | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    found = _address(host)
    return found is not None and bool(getattr(found, "is_loopback", False))
