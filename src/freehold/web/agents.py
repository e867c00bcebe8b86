"""Agents and their versions."""

from typing import Annotated

from fastapi import APIRouter, Path

from freehold.agents.publishing import create_agent, new_version
from freehold.core.agents import Spec
from freehold.core.effects import Verdict
from freehold.core.errors import Invalid
from freehold.store.threads import in_thread
from freehold.web.access import Here, IdempotencyKey, InTenant
from freehold.web.limiting import Limited
from freehold.web.lists import Cursor, Limit, page
from freehold.web.once import once
from freehold.web.views import AgentView, Asked, Listed, VersionView

router = APIRouter(prefix="/tenants/{tenant}/agents", tags=["agents"])

AgentName = Annotated[str, Path(description="Name or id of the agent.", max_length=80)]


class NewVersion(Asked):
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


class NewAgent(NewVersion):
    """An agent to create, with its first version."""

    name: str


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
        shown = [AgentView.of(agent, scope.versions.find(agent.version)) for agent in found]
    return page(shown, limit, show=lambda agent: agent, key=lambda agent: agent.id)


@router.get("/{agent}")
def show_agent(at: InTenant, agent: AgentName) -> AgentView:
    """Return one agent."""
    return _shown(at, agent)


@router.post("/{agent}/versions", status_code=201)
async def create_version(at: InTenant, agent: AgentName, body: NewVersion) -> VersionView:
    """Let the agent's new runs start with this configuration; the same content is the same version, so no key."""
    _, version = await new_version(
        at.tenancy,
        Limited(at.state),
        agent=agent,
        spec=body.spec(),
        by=at.caller.actor,
        clock=at.state.clock,
    )
    return VersionView.of(version)


@router.get("/{agent}/versions")
def list_versions(at: InTenant, agent: AgentName) -> Listed[VersionView]:
    """Return the agent's versions, newest first."""
    with at.tenancy.read() as scope:
        return Listed(items=[VersionView.of(version) for version in scope.versions.of(scope.agents.find(agent).id)])


def _shown(at: Here, agent: str) -> AgentView:
    with at.tenancy.read() as scope:
        found = scope.agents.find(agent)
        return AgentView.of(found, scope.versions.find(found.version))


def _verdict(tool: str, word: str) -> Verdict:
    if word not in set(Verdict):
        raise Invalid(
            f"{tool}={word[:40]} says nothing a tool can be.",
            code="bad_verdict",
            remedy=f"Use one of {', '.join(sorted(Verdict))}.",
        )
    return Verdict(word)
