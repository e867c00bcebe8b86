"""The other ways to sign in: passkeys, a provider's word, and what a browser has begun and not finished."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CeremonyKind(StrEnum):
    """What a browser can have begun."""

    OIDC = "oidc"
    """It was sent to the provider and shall come back."""
    PASSKEY = "passkey"
    """It shall show a passkey to sign in."""
    REGISTER = "register"
    """It shall make a passkey for the person it is signed in as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """Something begun: it is finished once, in time and by the same browser, or not at all."""

    hash: str
    """SHA-256 of the state or challenge the browser was given."""
    kind: CeremonyKind
    browser: str
    """What tells this browser from others: hash of its nonce, or of its session."""
    expires_at: datetime
    person: str = ""
    """Who it is for, where that is known already."""
    next: str = ""
    """Where the browser wants to be afterwards: a path of ours."""
    seal: str = ""
    """Over all the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A key in somebody's device, as far as we know it: the public half."""

    id: str
    person: str
    name: str
    credential: str
    """What the device calls it, in base64url."""
    public_key: bytes
    """COSE key, as the device gave it."""
    created_at: datetime
    signs: int = 0
    """How often the device says it has signed; one that counts back was copied."""
    synced: bool = False
    """Whether it may be on several devices of the person."""
    seal: str = ""
    """Over id, person, credential and public key."""
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a provider says about somebody, once its word was checked."""

    issuer: str
    subject: str
    email: str
    verified: bool
    """Whether the provider says that the address is theirs."""
    name: str = ""
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person as a provider knows them."""

    issuer: str
    subject: str
    person: str
    created_at: datetime
    seen_at: datetime
    seal: str = ""
    """Over issuer, subject and person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRole:
    """A role that a provider's group gave, and what was there before."""

    person: str
    tenant: str
    """Empty: to the whole platform."""
    role: str
    before: str = ""
    """The role they had without the group; empty: none."""
    seal: str = ""
    """Over all the rest."""
