"""The tables of the other ways to sign in: what is under way, passkeys, and who a provider says somebody is."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    LargeBinary,
    Text,
    UniqueConstraint,
    or_,
    select,
    update,
)

from freehold.core.ceremonies import Ceremony, CeremonyKind, GivenRole, Identity, Passkey
from freehold.store.schema import fields, one_of, table
from freehold.store.types import Coded, Moment

ceremony_table = table(
    "ceremonies",
    Column("hash", Text, primary_key=True),
    Column("kind", Coded(CeremonyKind), nullable=False),
    Column("browser", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("next", Text, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("seal", Text, nullable=False),
    one_of("kind", CeremonyKind),
    tenant="platform",
    data_class="identity",
    retention="days:7",
)

passkey_table = table(
    "passkeys",
    Column("id", Text, primary_key=True),
    Column("person", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("credential", Text, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("signs", BigInteger, nullable=False),
    Column("synced", Boolean, nullable=False),
    Column("seal", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment),
    tenant="platform",
    data_class="identity",
    retention="forever",
)

identity_table = table(
    "identities",
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("seal", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    UniqueConstraint("issuer", "person"),
    tenant="platform",
    data_class="identity",
    retention="forever",
)

given_role_table = table(
    "given_roles",
    Column("person", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),  # empty: to the whole platform
    Column("role", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("seal", Text, nullable=False),
    tenant="tenant",
    data_class="identity",
    retention="tenant",
)


class Ceremonies:
    """What browsers have begun and not finished."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def begin(self, ceremony: Ceremony, *, at: datetime) -> None:
        """Write down a new one, and forget those whose time is over by `at`."""
        self._connection.execute(ceremony_table.delete().where(ceremony_table.c.expires_at <= at))
        self._connection.execute(ceremony_table.insert().values(asdict(ceremony)))

    def take(self, hash: str) -> Ceremony | None:  # noqa: A002 - the column's word
        """Return the one with this hash, if there is one, and forget it: nothing is taken twice."""
        here = ceremony_table.c.hash == hash
        row = self._connection.execute(select(ceremony_table).where(here)).mappings().first()
        self._connection.execute(ceremony_table.delete().where(here))
        return None if row is None else Ceremony(**fields(row))


class Passkeys:
    """The passkeys of all people."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def add(self, passkey: Passkey) -> None:
        """Write down a new one."""
        self._connection.execute(passkey_table.insert().values(asdict(passkey)))

    def of(self, person: str) -> list[Passkey]:
        """Return a person's, oldest first."""
        query = select(passkey_table).where(passkey_table.c.person == person).order_by(passkey_table.c.id)
        return [Passkey(**fields(row)) for row in self._connection.execute(query).mappings()]

    def by_credential(self, credential: str) -> Passkey | None:
        """Return the one a device calls `credential`, if there is one."""
        query = select(passkey_table).where(passkey_table.c.credential == credential)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else Passkey(**fields(row))

    def used(self, passkey: str, *, signs: int, at: datetime) -> None:
        """Write down that one was shown, and how often its device has signed by then."""
        here = update(passkey_table).where(passkey_table.c.id == passkey)
        self._connection.execute(here.values(signs=signs, used_at=at))

    def remove(self, passkey: str) -> None:
        """Forget one."""
        self._connection.execute(passkey_table.delete().where(passkey_table.c.id == passkey))


class Identities:
    """Whom a provider's subjects are, and which roles its groups gave."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def add(self, identity: Identity) -> None:
        """Bind a subject to a person."""
        self._connection.execute(identity_table.insert().values(asdict(identity)))

    def touching(self, issuer: str, subject: str, person: str = "") -> list[Identity]:
        """Return what `issuer` has bound to this subject or to this person: one row where all is well."""
        either = or_(identity_table.c.subject == subject, identity_table.c.person == person)
        query = select(identity_table).where(identity_table.c.issuer == issuer, either)
        return [Identity(**fields(row)) for row in self._connection.execute(query).mappings()]

    def seen(self, identity: Identity, *, at: datetime) -> None:
        """Write down that it was shown."""
        here = (identity_table.c.issuer == identity.issuer, identity_table.c.subject == identity.subject)
        self._connection.execute(update(identity_table).where(*here).values(seen_at=at))

    def given(self, person: str) -> list[GivenRole]:
        """Return the roles that a person has by groups."""
        query = select(given_role_table).where(given_role_table.c.person == person)
        return [GivenRole(**fields(row)) for row in self._connection.execute(query).mappings()]

    def give(self, given: GivenRole) -> None:
        """Write down that a role came by a group, in place of what was given there before."""
        self.take_back(given)
        self._connection.execute(given_role_table.insert().values(asdict(given)))

    def take_back(self, given: GivenRole) -> None:
        """Forget that a role came by a group."""
        here = (given_role_table.c.person == given.person, given_role_table.c.tenant == given.tenant)
        self._connection.execute(given_role_table.delete().where(*here))
