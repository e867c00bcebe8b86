"""A tenant owns everything else; a key acts for one, or for the platform; a caller is whoever asks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from freehold.core.access import ALL, PLATFORM_NOUNS, covers
from freehold.core.errors import BadTransition


class TenantState(StrEnum):
    """Where a tenant stands."""

    DRAFT = "draft"
    """Being set up: everything can be configured, nothing runs."""
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Nothing runs and nothing comes in; all is kept."""
    DELETED = "deleted"
    """As good as gone; destroyed for good when its retention time is over."""


class TenantEvent(StrEnum):
    """What can happen to a tenant."""

    DEPLOY = "deploy"
    SUSPEND = "suspend"
    RESUME = "resume"
    DELETE = "delete"
    RESTORE = "restore"


class TierSource(StrEnum):
    """Who gave a tenant its tier."""

    OPERATOR = "operator"
    TRIAL = "trial"
    BILLING = "billing"


TENANT_TRANSITIONS = MappingProxyType(
    {
        (TenantState.DRAFT, TenantEvent.DEPLOY): TenantState.ACTIVE,
        (TenantState.DRAFT, TenantEvent.DELETE): TenantState.DELETED,
        (TenantState.ACTIVE, TenantEvent.SUSPEND): TenantState.SUSPENDED,
        (TenantState.ACTIVE, TenantEvent.DELETE): TenantState.DELETED,
        (TenantState.SUSPENDED, TenantEvent.RESUME): TenantState.ACTIVE,
        (TenantState.SUSPENDED, TenantEvent.DELETE): TenantState.DELETED,
        (TenantState.DELETED, TenantEvent.RESTORE): TenantState.SUSPENDED,  # whoever wants it back resumes it
    }
)
"""Every arrow there is. The picture in the reference is drawn from it; the database checks the states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Owner of agents, runs, secrets and all that is said."""

    id: str
    slug: str
    name: str
    uid: int
    """A number no other tenant has; sandboxes of the tenant run under base + this."""
    created_at: datetime
    state: TenantState = TenantState.DRAFT
    tier: str = "sovereign"
    """Which table of the tiers sets its quotas."""
    tier_until: datetime | None = None
    """When what was paid for, or tried, ends; none: it does not."""
    tier_source: TierSource = TierSource.OPERATOR
    time_zone: str = "UTC"
    """IANA name: when its days begin, and what its agents take for local time."""
    language: str = "en"
    """BCP 47 tag its people are written to in, where they have not chosen one of their own."""
    public_key: str = ""
    """What personal text about its people is encrypted to, in hexadecimal; only the gateway opens it."""
    created_by: str = ""
    """The person who made it within an allowance, if one did."""
    purge_at: datetime | None = None
    """When a deleted tenant is destroyed."""
    seal: str = ""
    """Over id and slug: which tenant is meant by a name is nobody's to change."""

    def after(self, event: TenantEvent) -> "Tenant":
        """Return this tenant as it stands once `event` has happened; raise `BadTransition` where it cannot."""
        state = TENANT_TRANSITIONS.get((self.state, event))
        if state is None:
            raise BadTransition("tenant", self.state, event)
        return replace(self, state=state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key as the platform keeps it: the secret itself is only hashed."""

    id: str
    name: str
    hash: str
    """SHA-256 of the whole key, in hexadecimal."""
    scopes: frozenset[str]
    """`noun:read|write|admin`, or `*`."""
    tenant: str | None
    """None: a key of the platform's operators."""
    created_at: datetime
    agent: str | None = None
    """The one agent it may speak to, if it is bound to one."""
    created_by: str = ""
    """The actor who made it."""
    seal: str = ""
    """Over all of it but its name and its use."""
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    """To the minute; a key that was never used has none."""
    replaced_by: str | None = None
    """The key that was made to take its place."""
    revoked_at: datetime | None = None
    """From when on it is out of force for good; that may lie ahead, while another one takes its place."""

    def in_force(self, at: datetime) -> bool:
        """Return whether the key opens anything at this moment, if its text is shown and its seal holds."""
        return all(end is None or end > at for end in (self.expires_at, self.revoked_at))


SELF = "self"
"""The noun of what a signed-in person may do about themselves."""
NOWHERE: Mapping[str, frozenset[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, once it is known, and what they may do where."""

    actor: str
    """What audit rows say: `person:per_…`, `key:key_…`, `operator`."""
    way: str = ""
    """How they showed who they are: `key`, `operator-key`, or the way a person signed in."""
    platform: frozenset[str] = frozenset()
    """Scopes over the platform and every tenant."""
    within: Mapping[str, frozenset[str]] = field(default_factory=lambda: NOWHERE)
    """Scopes within single tenants, by the tenant's id."""
    person: str | None = None
    session: str | None = None
    key: str | None = None
    agent: str | None = None
    """The one agent they may speak to, if they are bound to one."""

    def may(self, scope: str, tenant: str | None = None) -> bool:
        """Return whether the caller holds `scope` within `tenant`; without one, over the whole platform."""
        noun = scope.partition(":")[0]
        if noun == SELF:
            return self.person is not None
        if covers(self.platform, scope):
            return True
        return tenant is not None and noun not in PLATFORM_NOUNS and covers(self.within.get(tenant, ()), scope)

    def may_somewhere(self, scope: str) -> bool:
        """Return whether the caller holds `scope` over the platform or within any tenant."""
        return self.may(scope) or any(self.may(scope, tenant) for tenant in self.within)

    def sees(self, tenant: str) -> bool:
        """Return whether there is such a tenant, as far as the caller can tell."""
        return tenant in self.within or any(scope.partition(":")[0] not in PLATFORM_NOUNS for scope in self.platform)

    def holds(self, scopes: Collection[str], tenant: str | None) -> bool:
        """Return whether the caller may do all that `scopes` allow there: nobody gives what they do not have."""
        return all(self._all(tenant) if scope == ALL else self.may(scope, tenant) for scope in scopes)

    def _all(self, tenant: str | None) -> bool:
        return ALL in self.platform or (tenant is not None and ALL in self.within.get(tenant, ()))
