"""A tenant owns everything else; a key acts for one, or for the platform."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TenantState(StrEnum):
    """Where a tenant stands."""

    ACTIVE = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Owner of agents, runs, secrets and all that is said."""

    id: str
    slug: str
    name: str
    uid: int
    """A number no other tenant has; sandboxes of the tenant run under base + this."""
    created_at: datetime
    state: TenantState = TenantState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key as the platform keeps it: the secret itself is only hashed."""

    id: str
    name: str
    hash: str
    """HMAC-SHA256 of the whole key and of all that it may do, in hexadecimal, under web's seal."""
    scopes: frozenset[str]
    """`noun:read|write|admin`, or `*`."""
    tenant: str | None
    """None: a key of the platform's operators."""
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, once it is known."""

    actor: str
    """What audit rows say: `key:key_…`, `operator`."""
    tenant: str | None
    """None: the caller may work for any tenant."""
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Return whether the caller holds `scope`; write implies read, admin implies both."""
        noun, _, level = scope.partition(":")
        implied = {"read": ("read", "write", "admin"), "write": ("write", "admin"), "admin": ("admin",)}
        return "*" in self.scopes or any(f"{noun}:{held}" in self.scopes for held in implied[level])
