"""Pairs of keys: one half is told to everybody, the other lies sealed and is used here alone."""

from dataclasses import dataclass

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox
from nacl.signing import SigningKey

from freehold.core.errors import Denied


@dataclass(frozen=True, slots=True)
class Pair:
    """Both halves of a fresh pair."""

    public: str
    """In hexadecimal."""
    private: bytes


def opening() -> Pair:
    """Return a pair for what anybody may encrypt and only we open."""
    made = PrivateKey.generate()
    return Pair(bytes(made.public_key).hex(), bytes(made))


def signing() -> Pair:
    """Return an Ed25519 pair for what only we sign and anybody verifies."""
    made = SigningKey.generate()
    return Pair(bytes(made.verify_key).hex(), bytes(made))


def opened(private: bytes, box: bytes) -> bytes:
    """Return what was encrypted to the other half; raise `Denied` for anything else."""
    try:
        return bytes(SealedBox(PrivateKey(private)).decrypt(box))
    except (CryptoError, ValueError, TypeError) as error:
        raise Denied(
            "This text was encrypted to another key, or changed.",
            code="does_not_open",
            remedy="Put the gateway's store back that goes with the database.",
        ) from error


def signature(private: bytes, told: bytes) -> str:
    """Return our signature of `told`, in hexadecimal."""
    return bytes(SigningKey(private).sign(told).signature).hex()
