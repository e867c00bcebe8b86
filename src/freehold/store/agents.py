"""Agents, their versions and deployments, of one tenant."""

from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    select,
    update,
)

from freehold.core.agents import Agent, Deployment, Spec, Version
from freehold.core.effects import EffectKind, Verdict
from freehold.core.errors import Conflict, Denied, NotFound
from freehold.core.tools import Pinned
from freehold.store.schema import fields, table, tenant_column
from freehold.store.types import Json, Moment

agent_table = table(
    "agents",
    tenant_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("deployment", Integer, nullable=False),
    Column("trial", Text),
    Column("share", Integer, nullable=False),
    UniqueConstraint("tenant", "name"),
    tenant="tenant",
    data_class="configuration",
    retention="tenant",
)

version_table = table(
    "versions",
    tenant_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("spec", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("tenant", "agent", "number"),
    tenant="tenant",
    data_class="configuration",
    retention="tenant",
)

deployment_table = table(
    "deployments",
    tenant_column(primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("version", Text, nullable=False),
    Column("before", Integer),
    Column("created_at", Moment, nullable=False),
    tenant="tenant",
    data_class="configuration",
    retention="tenant",
)

# Spelt once: putting a statement together costs more than running it, and every turn passes here.
_AGENT: Final = select(agent_table).where(
    agent_table.c.tenant == bindparam("of_tenant"),
    (agent_table.c.name == bindparam("of_name")) | (agent_table.c.id == bindparam("of_name")),
)
_AGENT_TAKEN: Final = _AGENT.with_for_update()
_VERSION: Final = select(version_table).where(
    version_table.c.tenant == bindparam("of_tenant"), version_table.c.id == bindparam("of_id")
)


class Agents:
    """The agents of one tenant."""

    def __init__(self, connection: Connection, tenant: str, *, agent: str | None = None) -> None:
        """Belong to `tenant`, within the transaction of `connection`; with `agent`, know no other one."""
        self._connection, self._tenant, self._agent = connection, tenant, agent

    def add(self, agent: Agent) -> None:
        """
        Write down a new agent and its first deployment.

        A name that is taken is a `Conflict`, and who knows one agent makes no other.
        """
        self.require_all()
        if self._row(agent.name) is not None:
            raise Conflict(
                f"There is an agent {agent.name!r} already.",
                code="name_taken",
                remedy="Choose another name, or make a new version of that agent.",
            )
        self._connection.execute(agent_table.insert().values(asdict(agent) | {"tenant": self._tenant}))
        first = Deployment(
            agent=agent.id, number=agent.deployment, version=agent.version, before=None, created_at=agent.created_at
        )
        Deployments(self._connection, self._tenant).add(first)

    def require_all(self) -> None:
        """Return if this is about all agents; raise `Denied` (`bound_to_agent`) where it is about one alone."""
        if self._agent is not None:
            raise Denied(
                "This key is for one agent.",
                code="bound_to_agent",
                remedy="Use a key that is not bound to an agent to make another one.",
            )

    def find(self, name: str) -> Agent:
        """Return the agent whose name or id is `name`; raise `NotFound` where there is none."""
        return self._known(self._row(name))

    def taken(self, name: str) -> Agent:
        """Return the agent as `find` does, to change it: whoever else takes it waits until this transaction is over."""
        return self._known(self._row(name, _AGENT_TAKEN))

    def page(self, *, after: str = "", limit: int = 100) -> list[Agent]:
        """Return agents by id, those behind `after`, at most `limit`."""
        query = select(agent_table).where(agent_table.c.tenant == self._tenant, agent_table.c.id > after)
        query = query if self._agent is None else query.where(agent_table.c.id == self._agent)
        rows = self._connection.execute(query.order_by(agent_table.c.id).limit(limit)).mappings()
        return [Agent(**fields(row, "tenant")) for row in rows]

    def save(self, agent: Agent) -> None:
        """Let new runs start as `agent` says."""
        self._connection.execute(
            update(agent_table)
            .where(agent_table.c.tenant == self._tenant, agent_table.c.id == agent.id)
            .values(version=agent.version, deployment=agent.deployment, trial=agent.trial, share=agent.share)
        )

    @staticmethod
    def _known(found: Agent | None) -> Agent:
        if found is None:
            raise NotFound("There is no such agent.", remedy="`freehold agent list` shows the tenant's agents.")
        return found

    def _row(self, name: str, query: Select[Any] = _AGENT) -> Agent | None:
        row = self._connection.execute(query, {"of_tenant": self._tenant, "of_name": name}).mappings().first()
        if row is None or self._agent not in {None, row["id"]}:
            return None
        return Agent(**fields(row, "tenant"))


class Versions:
    """The versions of one tenant's agents."""

    def __init__(self, connection: Connection, tenant: str, *, agent: str | None = None) -> None:
        """Belong to `tenant`, within the transaction of `connection`; with `agent`, know those of no other one."""
        self._connection, self._tenant, self._agent = connection, tenant, agent

    def add(self, version: Version) -> None:
        """Write down a version; the same content again changes nothing."""
        if self._row(version.id) is None:
            self._connection.execute(version_table.insert().values(asdict(version) | {"tenant": self._tenant}))

    def find(self, version: str) -> Version:
        """Return the version; raise `NotFound` where there is none."""
        found = self._row(version)
        if found is None:
            raise _no_version()
        return found

    def named(self, agent: str, name: str) -> Version:
        """Return the version of `agent` whose id or number is `name`; raise `NotFound` where it has none."""
        found = self._row(name)
        if found is None and name.isascii() and name.isdigit():
            found = next((version for version in self.of(agent) if str(version.number) == name), None)
        if found is None or found.agent != agent:
            raise _no_version()
        return found

    def next_number(self, agent: str) -> int:
        """Return the number the agent's next version gets, from 1."""
        query = select(func.max(version_table.c.number)).where(
            version_table.c.tenant == self._tenant, version_table.c.agent == agent
        )
        return (self._connection.execute(query).scalar() or 0) + 1

    def of(self, agent: str) -> list[Version]:
        """Return the agent's versions, newest first."""
        query = select(version_table).where(version_table.c.tenant == self._tenant, version_table.c.agent == agent)
        query = query if self._agent is None else query.where(version_table.c.agent == self._agent)
        rows = self._connection.execute(query.order_by(version_table.c.number.desc())).mappings()
        return [_version(fields(row, "tenant")) for row in rows]

    def _row(self, version: str) -> Version | None:
        row = self._connection.execute(_VERSION, {"of_tenant": self._tenant, "of_id": version}).mappings().first()
        if row is None or self._agent not in {None, row["agent"]}:
            return None
        return _version(fields(row, "tenant"))


class Deployments:
    """What new runs of one tenant's agents started with, one after the other; nothing of it goes."""

    def __init__(self, connection: Connection, tenant: str, *, agent: str | None = None) -> None:
        """Belong to `tenant`, within the transaction of `connection`; with `agent`, know those of no other one."""
        self._connection, self._tenant, self._agent = connection, tenant, agent

    def add(self, deployment: Deployment) -> None:
        """Write down a deployment."""
        self._connection.execute(deployment_table.insert().values(asdict(deployment) | {"tenant": self._tenant}))

    def find(self, agent: str, number: int) -> Deployment | None:
        """Return the deployment of `agent` with this number, or None."""
        row = self._connection.execute(
            select(deployment_table).where(*self._of(agent), deployment_table.c.number == number)
        )
        found = row.mappings().first()
        return None if found is None else Deployment(**fields(found, "tenant"))

    def next_number(self, agent: str) -> int:
        """Return the number the agent's next deployment gets, from 1."""
        query = select(func.max(deployment_table.c.number)).where(*self._of(agent))
        return (self._connection.execute(query).scalar() or 0) + 1

    def _of(self, agent: str) -> list[ColumnElement[bool]]:
        of = [deployment_table.c.tenant == self._tenant, deployment_table.c.agent == agent]
        return of if self._agent is None else [*of, deployment_table.c.agent == self._agent]


def _no_version() -> NotFound:
    return NotFound("There is no such version.", remedy="`freehold agent versions AGENT` shows what there is.")


def _version(values: dict[str, object]) -> Version:
    spec = dict(values.pop("spec"))  # type: ignore[call-overload]
    spec["tools"] = {name: Verdict(verdict) for name, verdict in spec["tools"].items()}
    spec["egress"] = tuple(spec.get("egress", ()))  # versions from before there were such grants do not say
    spec["pinned"] = {name: _pinned(told) for name, told in spec.get("pinned", {}).items()}
    return Version(**values, spec=Spec(**spec))  # type: ignore[arg-type]


def _pinned(told: dict[str, Any]) -> Pinned:
    return Pinned(**told | {"kind": EffectKind(told["kind"])})
