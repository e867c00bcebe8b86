"""Agents and their versions."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from freehold.agents.deploying import deploy, roll_back
from freehold.agents.publishing import create_agent, new_version
from freehold.audit.canonical import digest
from freehold.core.agents import Agent, Spec
from freehold.core.effects import Verdict
from freehold.core.errors import Invalid
from freehold.store.scope import Scope
from freehold.store.threads import in_thread
from freehold.web.access import Here, IdempotencyKey, InTenant
from freehold.web.differences import DifferenceView
from freehold.web.limiting import Limited
from freehold.web.lists import Cursor, Limit, page
from freehold.web.once import once
from freehold.web.views import AgentView, Asked, Listed, VersionView

router = APIRouter(prefix="/tenants/{tenant}/agents", tags=["agents"])

AgentName = Annotated[str, Path(description="Name or id of the agent.", max_length=80)]
Before = Annotated[str, Query(alias="from", description="Id or number of a version.", max_length=80)]
After = Annotated[str, Query(alias="to", description="Id or number of the version to compare it with.", max_length=80)]


class Configuration(Asked):
    """What a version freezes."""

    model: str
    instructions: str = ""
    tools: dict[str, str] = {}
    """Name of the tool → allow, ask or deny; `CONNECTION.*` means every tool that is not named itself."""
    egress: list[str] = []
    """Hosts that programs in its sandboxes may go to: `HOST`, `*.DOMAIN`, either with `:PORT`."""

    def spec(self) -> Spec:
        """Return the body as the noun."""
        return Spec(
            model=self.model,
            instructions=self.instructions,
            tools={name: _verdict(name, verdict) for name, verdict in self.tools.items()},
            egress=tuple(dict.fromkeys(self.egress)),
        )


class NewVersion(Configuration):
    """A version to make of an agent that is there."""

    deploy: bool = True
    """Whether new runs start with it from now on."""


class NewAgent(Configuration):
    """An agent to create, with its first version."""

    name: str


class Deploying(Asked):
    """A version to deploy."""

    version: str = Field(max_length=80)
    """Its id or number."""
    share: int | None = None
    """How many of a hundred new conversations and runs shall start with it; all of them if it is left out."""


@router.post("", status_code=201)
async def create_an_agent(at: InTenant, body: NewAgent, key: IdempotencyKey = "") -> AgentView:
    """Create an agent with its first version."""

    async def make() -> str:
        agent, _ = await create_agent(
            at.tenancy,
            Limited(at.state),
            name=body.name,
            spec=body.spec(),
            by=at.caller.actor,
            ids=at.state.ids,
            clock=at.state.clock,
        )
        return agent.id

    made = await once(at.state, at.tenant.id, "agents", key, body.plain(), make)
    return await in_thread(_shown, at, made)


@router.get("")
def list_agents(at: InTenant, limit: Limit = 100, cursor: Cursor = "") -> Listed[AgentView]:
    """Return the tenant's agents."""
    with at.tenancy.read() as scope:
        found = scope.agents.page(after=cursor, limit=limit + 1)
        shown = [_view(scope, agent) for agent in found]
    return page(shown, limit, show=lambda agent: agent, key=lambda agent: agent.id)


@router.get("/{agent}")
def show_agent(at: InTenant, agent: AgentName) -> AgentView:
    """Return one agent."""
    return _shown(at, agent)


@router.post("/{agent}/versions", status_code=201)
async def create_version(at: InTenant, agent: AgentName, body: NewVersion) -> VersionView:
    """Make a version and let new runs start with it, or not; the same content is the same version, so no key."""
    made_of, version = await new_version(
        at.tenancy,
        Limited(at.state),
        agent=agent,
        spec=body.spec(),
        by=at.caller.actor,
        clock=at.state.clock,
        deploy=body.deploy,
    )
    return VersionView.of(version, made_of)


@router.get("/{agent}/versions")
def list_versions(at: InTenant, agent: AgentName) -> Listed[VersionView]:
    """Return the agent's versions, newest first."""
    with at.tenancy.read() as scope:
        found = scope.agents.find(agent)
        return Listed(items=[VersionView.of(version, found) for version in scope.versions.of(found.id)])


@router.post("/{agent}/deploy")
def deploy_version(at: InTenant, agent: AgentName, body: Deploying) -> AgentView:
    """Let new runs start with this version, all of them or a share; the same again changes nothing, so no key."""
    with at.tenancy.write() as scope:
        after = deploy(
            scope,
            agent=agent,
            version=body.version,
            share=body.share,
            by=at.caller.actor,
            at=at.state.clock.now(),
        )
        return _view(scope, after)


@router.post("/{agent}/rollback")
def roll_back_agent(at: InTenant, agent: AgentName, key: IdempotencyKey = "") -> AgentView:
    """Let new runs start with what they started with before the last deployment; end what is tried, if anything is."""
    now = at.state.clock.now()
    with at.tenancy.write() as scope:
        asked = digest({"agent": agent})
        if not key or scope.idempotency.made("rollbacks", key, asked) is None:
            after = roll_back(scope, agent=agent, by=at.caller.actor, at=now)
            if key:
                scope.idempotency.keep("rollbacks", key, asked, after.version, at=now)
        return _view(scope, scope.agents.find(agent))


@router.get("/{agent}/diff")
def compare_versions(at: InTenant, agent: AgentName, before: Before, after: After) -> DifferenceView:
    """Return what differs between two versions of the agent."""
    with at.tenancy.read() as scope:
        found = scope.agents.find(agent)
        return DifferenceView.of(scope.versions.named(found.id, before), scope.versions.named(found.id, after))


def _shown(at: Here, agent: str) -> AgentView:
    with at.tenancy.read() as scope:
        return _view(scope, scope.agents.find(agent))


def _view(scope: Scope, agent: Agent) -> AgentView:
    trial = None if agent.trial is None else scope.versions.find(agent.trial)
    return AgentView.of(agent, scope.versions.find(agent.version), trial)


def _verdict(tool: str, word: str) -> Verdict:
    if word not in set(Verdict):
        raise Invalid(
            f"{tool}={word[:40]} says nothing a tool can be.",
            code="bad_verdict",
            remedy=f"Use one of {', '.join(sorted(Verdict))}.",
        )
    return Verdict(word)
