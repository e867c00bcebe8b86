"""People: who signs in, what they are in a tenant, and how they came in."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PlatformRole(StrEnum):
    """What a person may be to the whole platform; most people are nothing to it."""

    OPERATOR = "operator"
    AUDITOR = "auditor"


class Role(StrEnum):
    """What a member may be in a tenant, from most to least."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"

    def reaches(self, other: "Role") -> bool:
        """Return whether this role may do all that `other` may: only then may it give it or take it away."""
        order = list(Role)
        return order.index(self) <= order.index(other)


class PersonState(StrEnum):
    """Where a person stands."""

    ACTIVE = "active"
    CLOSED = "closed"
    """May not sign in anywhere."""


class MemberState(StrEnum):
    """Where a member stands."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Keeps the place and the role, and may do nothing with them."""


class SignIn(StrEnum):
    """The ways a person can show who they are."""

    CODE = "otp"
    OIDC = "oidc"
    PASSKEY = "passkey"
    CLAIM = "claim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who can sign in; known to the platform once, whatever tenants they are members of."""

    id: str
    email: str
    """As `tenants.addresses.normal` spells it: one person, one address."""
    created_at: datetime
    name: str = ""
    time_zone: str = ""
    """IANA name; empty: that of the tenant they look at."""
    language: str = ""
    """BCP 47 tag; empty: that of the tenant."""
    platform_role: PlatformRole | None = None
    allowance: int = 0
    """How many tenants they may create and own: what a provisioner has."""
    state: PersonState = PersonState.ACTIVE
    seal: str = ""
    """Over id, address, platform role, allowance and state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person's place in a tenant."""

    id: str
    tenant: str
    person: str
    role: Role
    created_at: datetime
    state: MemberState = MemberState.ACTIVE
    seal: str = ""
    """Over id, tenant, person, role and state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A place in a tenant that is offered to an address by a single-use link."""

    id: str
    tenant: str
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime
    invited_by: str
    """The actor who offers it."""
    hash: str
    """SHA-256 of the link's token."""
    seal: str = ""
    """Over all of it but when it was made."""
    used_at: datetime | None = None
    revoked_at: datetime | None = None

    def open(self, at: datetime) -> bool:
        """Return whether its link may still be used at this moment."""
        return self.used_at is None and self.revoked_at is None and self.expires_at > at


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that somebody signed in with; what it shows is only hashed."""

    id: str
    person: str
    way: SignIn
    hash: str
    """SHA-256 of the cookie's value."""
    created_at: datetime
    seen_at: datetime
    """To the minute; a session nobody uses ends by itself."""
    expires_at: datetime
    """When it ends however busy it is."""
    strong: bool = False
    """Whether a passkey was shown in it."""
    client: str = ""
    """What the browser calls itself, shortened, so that people recognise their own."""
    address: str = ""
    seal: str = ""
    """Over id, person, way, hash, strength and end."""
    ended_at: datetime | None = None
