"""Tenants and keys: what is there before a scope can be."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Connection, Integer, Text, bindparam, func, select, update

from freehold.core.errors import Conflict, NotFound
from freehold.core.tenants import Key, Tenant, TenantState, TierSource
from freehold.store.schema import fields, one_of, table
from freehold.store.types import Coded, Json, Moment

tenant_table = table(
    "tenants",
    Column("id", Text, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("uid", Integer, nullable=False, unique=True),
    Column("state", Coded(TenantState), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("tier", Text, nullable=False),
    Column("tier_until", Moment),
    Column("tier_source", Coded(TierSource), nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("created_by", Text, nullable=False, index=True),
    Column("purge_at", Moment),
    Column("seal", Text, nullable=False),
    one_of("state", TenantState),
    one_of("tier_source", TierSource),
    tenant="id",
    data_class="identity",
    retention="tenant",
)

key_table = table(
    "keys",
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=True, index=True),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("scopes", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("agent", Text),
    Column("created_by", Text, nullable=False),
    Column("seal", Text, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    Column("replaced_by", Text),
    Column("revoked_at", Moment),
    tenant="tenant",
    data_class="identity",
    retention="tenant",
)

# Spelt once: putting a statement together costs more than running it, and every request passes here.
_TENANT: Final = select(tenant_table).where(
    (tenant_table.c.slug == bindparam("of_name")) | (tenant_table.c.id == bindparam("of_name"))
)
_STATE: Final = select(tenant_table.c.state).where(tenant_table.c.id == bindparam("of_id"))
_KEY: Final = select(key_table).where(key_table.c.id == bindparam("of_id"))


_FIXED: Final = frozenset({"id", "slug", "uid", "created_at", "seal"})


class Tenants:
    """All tenants of the installation."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def add(self, tenant: Tenant) -> None:
        """Write down a new tenant; a slug that is taken is a `Conflict`."""
        taken = select(tenant_table.c.id).where(tenant_table.c.slug == tenant.slug)
        if self._connection.execute(taken).first() is not None:
            raise Conflict(
                f"There is a tenant {tenant.slug!r} already.", code="slug_taken", remedy="Choose another slug."
            )
        self._connection.execute(tenant_table.insert().values(asdict(tenant)))

    def next_uid(self) -> int:
        """Return a tenant number nobody has; taken when `add` commits in the same transaction."""
        highest = self._connection.execute(select(func.max(tenant_table.c.uid))).scalar()
        return (highest or 0) + 1

    def find(self, name: str) -> Tenant:
        """Return the tenant whose slug or id is `name`; raise `NotFound` where there is none."""
        row = self._connection.execute(_TENANT, {"of_name": name}).mappings().first()
        if row is None:
            raise NotFound("There is no such tenant.", remedy="`freehold tenant list` shows those you may see.")
        return Tenant(**fields(row))

    def state(self, tenant: str) -> TenantState | None:
        """Return how the tenant with this id stands; None where there is none."""
        return self._connection.execute(_STATE, {"of_id": tenant}).scalar()

    def save(self, tenant: Tenant) -> None:
        """Write down what changed about a tenant; its id, slug and number never do."""
        changed = {name: value for name, value in asdict(tenant).items() if name not in _FIXED}
        done = self._connection.execute(update(tenant_table).where(tenant_table.c.id == tenant.id).values(changed))
        if done.rowcount != 1:
            raise NotFound("There is no such tenant.")

    def page(self, *, after: str = "", limit: int = 100) -> list[Tenant]:
        """Return tenants by id, those behind `after`, at most `limit`."""
        query = select(tenant_table).where(tenant_table.c.id > after).order_by(tenant_table.c.id).limit(limit)
        return [Tenant(**fields(row)) for row in self._connection.execute(query).mappings()]

    def count(self) -> int:
        """Return how many tenants there are."""
        return self._connection.execute(select(func.count()).select_from(tenant_table)).scalar_one()


class Keys:
    """All API keys of the installation, as hashes."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def add(self, key: Key) -> None:
        """Write down a new key."""
        self._connection.execute(key_table.insert().values(asdict(key)))

    def find(self, key: str) -> Key | None:
        """Return the key with this id, in force or not; whether the row is genuine, its seal must tell."""
        row = self._connection.execute(_KEY, {"of_id": key}).mappings().first()
        return None if row is None else Key(**fields(row, "scopes"), scopes=frozenset(row["scopes"]))

    def of(self, tenant: str | None) -> list[Key]:
        """Return the keys of one tenant, or the platform's."""
        query = select(key_table).where(
            key_table.c.tenant.is_(tenant) if tenant is None else key_table.c.tenant == tenant
        )
        rows = self._connection.execute(query.order_by(key_table.c.id)).mappings()
        return [Key(**fields(row, "scopes"), scopes=frozenset(row["scopes"])) for row in rows]

    def get(self, tenant: str | None, key: str) -> Key:
        """Return a key of one tenant, or of the platform's; raise `NotFound` where there is none."""
        found = self.find(key)
        if found is None or found.tenant != tenant:
            raise NotFound("There is no such key.", remedy="`freehold key list` shows those there are.")
        return found

    def save(self, key: Key) -> None:
        """Write down what changed about a key."""
        self._connection.execute(update(key_table).where(key_table.c.id == key.id).values(asdict(key)))

    def whose(self) -> list[str | None]:
        """Return the ids of the tenants that have keys; None among them stands for the platform."""
        return list(self._connection.execute(select(key_table.c.tenant).distinct()).scalars())

    def used(self, key: str, *, at: datetime) -> None:
        """Write down that a key was used; what is known of a later use stays."""
        earlier = key_table.c.last_used_at.is_(None) | (key_table.c.last_used_at < at)
        self._connection.execute(update(key_table).where(key_table.c.id == key, earlier).values(last_used_at=at))
