"""
Personal text beside the record: encrypted to its tenant's public key, with nothing but a hash in the chain.

Anybody can write it, only the gateway can read it, and when the tenant's key is destroyed nobody can: the chain
stays whole. The hash covers a random number too, so that nobody can find an address by trying.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nacl.public import PublicKey, SealedBox
from nacl.utils import random

from freehold.audit.canonical import canonical, digest

NONCE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Sealed:
    """Personal text as it is kept."""

    hash: str
    """What stands in the chain."""
    box: bytes | None
    """What lies beside it; none while its owner has no public key: it is then kept nowhere."""


def sealed(personal: Mapping[str, str], public_key: str) -> Sealed:
    """Return `personal` encrypted to `public_key` (in hexadecimal, empty for none), and its hash."""
    text = {"nonce": random(NONCE_BYTES).hex(), "personal": dict(personal)}
    box = SealedBox(PublicKey(bytes.fromhex(public_key))).encrypt(canonical(text)) if public_key else None
    return Sealed(digest(text), box)
