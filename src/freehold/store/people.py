"""People, their places in tenants and their invitations: what is there before a scope can be."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    Text,
    UniqueConstraint,
    bindparam,
    select,
    update,
)

from freehold.core.errors import Conflict, NotFound
from freehold.core.people import (
    Invitation,
    Member,
    MemberState,
    Person,
    PersonState,
    PlatformRole,
    Role,
)
from freehold.core.tenants import TenantState
from freehold.store.schema import fields, one_of, table, tenant_column
from freehold.store.tenants import tenant_table
from freehold.store.types import Coded, Moment

person_table = table(
    "people",
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("platform_role", Coded(PlatformRole)),
    Column("allowance", Integer, nullable=False),
    Column("state", Coded(PersonState), nullable=False),
    Column("seal", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    one_of("platform_role", PlatformRole),
    one_of("state", PersonState),
    tenant="platform",
    data_class="identity",
    retention="forever",
)

member_table = table(
    "members",
    tenant_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("person", Text, nullable=False, index=True),
    Column("role", Coded(Role), nullable=False),
    Column("state", Coded(MemberState), nullable=False),
    Column("seal", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("tenant", "person"),
    one_of("role", Role),
    one_of("state", MemberState),
    tenant="tenant",
    data_class="identity",
    retention="tenant",
)

invitation_table = table(
    "invitations",
    tenant_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("role", Coded(Role), nullable=False),
    Column("invited_by", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("seal", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
    Column("revoked_at", Moment),
    one_of("role", Role),
    tenant="tenant",
    data_class="identity",
    retention="tenant",
)

installation_table = table(
    "installation",
    Column("id", Text, primary_key=True),  # one row: `this`
    Column("public_key", Text, nullable=False),
    Column("claimed_at", Moment),
    Column("claimed_by", Text, nullable=False),
    tenant="platform",
    data_class="configuration",
    retention="forever",
)

THIS: Final = "this"
# Spelt once: putting a statement together costs more than running it, and every request of a person passes here.
_PERSON: Final = select(person_table).where(person_table.c.id == bindparam("of_id"))
_PLACES: Final = (
    select(member_table)
    .join(tenant_table, tenant_table.c.id == member_table.c.tenant)
    .where(member_table.c.person == bindparam("of_person"), tenant_table.c.state != TenantState.DELETED)
)


class People:
    """Everybody who can sign in."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def add(self, person: Person) -> None:
        """Write down somebody new; an address that is taken is a `Conflict` (`email_taken`)."""
        if self.by_email(person.email) is not None:
            raise Conflict("Somebody has this address already.", code="email_taken", remedy="Use the one there is.")
        self._connection.execute(person_table.insert().values(asdict(person)))

    def save(self, person: Person) -> None:
        """Write down what changed about a person."""
        self._connection.execute(update(person_table).where(person_table.c.id == person.id).values(asdict(person)))

    def find(self, person: str) -> Person | None:
        """Return the person with this id, if there is one; whether the row is genuine, its seal must tell."""
        row = self._connection.execute(_PERSON, {"of_id": person}).mappings().first()
        return None if row is None else Person(**fields(row))

    def by_email(self, email: str) -> Person | None:
        """Return the person with this address (in its one spelling), if there is one."""
        row = self._connection.execute(select(person_table).where(person_table.c.email == email)).mappings().first()
        return None if row is None else Person(**fields(row))

    def page(self, *, after: str = "", limit: int = 100) -> list[Person]:
        """Return people by id, those behind `after`, at most `limit`."""
        query = select(person_table).where(person_table.c.id > after).order_by(person_table.c.id).limit(limit)
        return [Person(**fields(row)) for row in self._connection.execute(query).mappings()]

    def with_platform_role(self, role: PlatformRole) -> list[Person]:
        """Return those who have this role to the whole platform."""
        query = select(person_table).where(person_table.c.platform_role == role)
        return [Person(**fields(row)) for row in self._connection.execute(query).mappings()]

    def places(self, person: str) -> list[Member]:
        """Return what a person is in all tenants; in one that was deleted nobody is anything."""
        return [Member(**fields(row)) for row in self._connection.execute(_PLACES, {"of_person": person}).mappings()]


class Members:
    """The members of one tenant."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        """Belong to `tenant`, within the transaction of `connection`."""
        self._connection, self._tenant = connection, tenant
        self._ours = member_table.c.tenant == tenant

    def add(self, member: Member) -> None:
        """Write down a new member; one who is there already is a `Conflict` (`member_already`)."""
        if self.of_person(member.person) is not None:
            raise Conflict("They are a member already.", code="member_already", remedy="Change their role instead.")
        self._connection.execute(member_table.insert().values(asdict(member)))

    def save(self, member: Member) -> None:
        """Write down what changed about a member."""
        where = (self._ours, member_table.c.id == member.id)
        self._connection.execute(update(member_table).where(*where).values(asdict(member)))

    def remove(self, member: str) -> None:
        """Forget a member."""
        self._connection.execute(member_table.delete().where(self._ours, member_table.c.id == member))

    def get(self, member: str) -> Member:
        """Return the member with this id; raise `NotFound` where there is none."""
        query = select(member_table).where(self._ours, member_table.c.id == member)
        row = self._connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("There is no such member.", remedy="`freehold member list` shows the tenant's members.")
        return Member(**fields(row))

    def of_person(self, person: str) -> Member | None:
        """Return what this person is here, if anything."""
        query = select(member_table).where(self._ours, member_table.c.person == person)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else Member(**fields(row))

    def all(self) -> list[Member]:
        """Return all members, oldest first."""
        query = select(member_table).where(self._ours).order_by(member_table.c.id)
        return [Member(**fields(row)) for row in self._connection.execute(query).mappings()]


class Invitations:
    """Places in one tenant that are on offer."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        """Belong to `tenant`, within the transaction of `connection`."""
        self._connection, self._tenant = connection, tenant
        self._ours = invitation_table.c.tenant == tenant

    def add(self, invitation: Invitation) -> None:
        """Write down a new one."""
        self._connection.execute(invitation_table.insert().values(asdict(invitation)))

    def save(self, invitation: Invitation) -> None:
        """Write down what changed about one."""
        where = (self._ours, invitation_table.c.id == invitation.id)
        self._connection.execute(update(invitation_table).where(*where).values(asdict(invitation)))

    def get(self, invitation: str) -> Invitation:
        """Return the one with this id; raise `NotFound` where there is none."""
        query = select(invitation_table).where(self._ours, invitation_table.c.id == invitation)
        row = self._connection.execute(query).mappings().first()
        if row is None:
            remedy = "`freehold member invitations` shows those there are."
            raise NotFound("There is no such invitation.", remedy=remedy)
        return Invitation(**fields(row))

    def all(self) -> list[Invitation]:
        """Return all, oldest first."""
        query = select(invitation_table).where(self._ours).order_by(invitation_table.c.id)
        return [Invitation(**fields(row)) for row in self._connection.execute(query).mappings()]


def invitation_by_hash(connection: Connection, hash: str) -> Invitation | None:  # noqa: A002 - the column's word
    """Return the invitation whose link has this hash, whatever tenant it is to: its holder need not know."""
    query = select(invitation_table).where(invitation_table.c.hash == hash)
    row = connection.execute(query).mappings().first()
    return None if row is None else Invitation(**fields(row))


def invitations_by(connection: Connection, actor: str) -> list[Invitation]:
    """Return what somebody has offered, in whatever tenants."""
    query = select(invitation_table).where(invitation_table.c.invited_by == actor)
    return [Invitation(**fields(row)) for row in connection.execute(query).mappings()]


def tenants_inviting(connection: Connection) -> list[str]:
    """Return the ids of the tenants that have offers which nobody has taken, or taken back."""
    ours = invitation_table.c
    query = select(ours.tenant).where(ours.used_at.is_(None), ours.revoked_at.is_(None)).distinct()
    return list(connection.execute(query).scalars())


def claimed_already() -> Conflict:
    """Return what somebody is told who claims an installation that has an operator."""
    return Conflict(
        "This installation has an operator already.",
        code="already_claimed",
        remedy="Sign in, or ask the operator to let you in.",
    )


class Installation:
    """What is true of this installation as a whole."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    @property
    def public_key(self) -> str:
        """What personal text of the platform's own is encrypted to, in hexadecimal; empty before it is known."""
        return str(self._connection.execute(select(installation_table.c.public_key)).scalar() or "")

    @property
    def claimed_at(self) -> datetime | None:
        """When the first operator claimed it; none: nobody has."""
        return self._connection.execute(select(installation_table.c.claimed_at)).scalar()

    def set_public_key(self, key: str) -> None:
        """Remember the platform's public key."""
        self._be_there()
        self._connection.execute(update(installation_table).values(public_key=key))

    def claim(self, by: str, *, at: datetime) -> None:
        """Write down who claimed it; raise `Conflict` (`already_claimed`) where somebody did before."""
        self._be_there()
        free = update(installation_table).where(installation_table.c.claimed_at.is_(None))
        if self._connection.execute(free.values(claimed_at=at, claimed_by=by)).rowcount != 1:
            raise claimed_already()

    def _be_there(self) -> None:
        if self._connection.execute(select(installation_table.c.id)).first() is None:
            self._connection.execute(installation_table.insert().values(id=THIS, public_key="", claimed_by=""))
