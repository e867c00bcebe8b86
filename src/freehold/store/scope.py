"""
A scope is what code may touch for one tenant, within one transaction.

Whoever works for a tenant is handed a `Tenancy` or a `Scope` of it; neither can name another tenant.
Only the composition and the edges, which know who asks, hold a `Store`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from sqlalchemy import Connection

from freehold.store.agents import Agents, Deployments, Versions
from freehold.store.db import Database
from freehold.store.journal import Approvals, Signals, Steps
from freehold.store.outbox import Idempotency, Outbox
from freehold.store.people import Invitations, Members
from freehold.store.platform import Platform
from freehold.store.runs import Events, Runs
from freehold.store.talk import Channels, Parts, Talk


@final
class Scope:
    """One tenant's part of the database, within one transaction: what is written here commits together."""

    def __init__(self, connection: Connection, tenant: str, *, agent: str | None = None) -> None:
        """Belong to `tenant`, or to no more of it than one `agent`; made by a `Tenancy`."""
        self.connection = connection
        self.tenant = tenant
        self.agent = agent
        self.members = Members(connection, tenant)
        self.invitations = Invitations(connection, tenant)
        self.agents = Agents(connection, tenant, agent=agent)
        self.versions = Versions(connection, tenant, agent=agent)
        self.deployments = Deployments(connection, tenant, agent=agent)
        self.runs = Runs(connection, tenant, agent=agent)
        self.events = Events(connection, tenant)
        self.talk = Talk(connection, tenant, agent=agent)
        self.channels = Channels(connection, tenant)
        self.parts = Parts(connection, tenant)
        self.steps = Steps(connection, tenant)
        self.signals = Signals(connection, tenant)
        self.approvals = Approvals(connection, tenant, agent=agent)
        self.outbox = Outbox(connection, tenant)
        self.idempotency = Idempotency(connection, tenant, agent=agent)


@final
class Tenancy:
    """The way to one tenant's scope, transaction by transaction."""

    def __init__(self, database: Database, tenant: str, *, agent: str | None = None) -> None:
        """Belong to `tenant`, or to no more of it than one `agent`; made by a `Store`."""
        self._database = database
        self.tenant = tenant
        self.agent = agent

    @contextmanager
    def read(self) -> Iterator[Scope]:
        """Give a scope that sees one moment."""
        with self._database.read() as connection:
            yield Scope(connection, self.tenant, agent=self.agent)

    @contextmanager
    def write(self) -> Iterator[Scope]:
        """Give a scope whose writes commit together when the block ends well."""
        with self._database.write() as connection:
            yield Scope(connection, self.tenant, agent=self.agent)


@final
class Store:
    """The whole database, for those who decide whose turn it is."""

    def __init__(self, database: Database) -> None:
        """Stand on `database`, whose migrations have run."""
        self.database = database

    def tenant(self, tenant: str, *, agent: str | None = None) -> Tenancy:
        """Return the way to the scope of the tenant with this id; with `agent`, to no more of it than that one's."""
        return Tenancy(self.database, tenant, agent=agent)

    @contextmanager
    def read(self) -> Iterator[Platform]:
        """Give what belongs to the platform as of one moment."""
        with self.database.read() as connection:
            yield Platform(connection)

    @contextmanager
    def write(self) -> Iterator[Platform]:
        """Give what belongs to the platform, to write."""
        with self.database.write() as connection:
            yield Platform(connection)
