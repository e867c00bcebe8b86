"""The tools of connections: what agents can be granted of them, and whose version pinned another than there is now."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel

from freehold.core.agents import Spec
from freehold.store.scope import Tenancy
from freehold.store.threads import in_thread
from freehold.web.access import InTenant, Operator, TheState
from freehold.web.connections import ConnectionName
from freehold.web.views import Asked, Listed, told_moment

router = APIRouter(tags=["connections"])

ToolName = Annotated[str, Path(description="Name of the tool, without its connection's.", max_length=80)]


class ToolsAnew(Asked):
    """A wish for the tools of a connection to be told anew: by its server, or by an OpenAPI document."""

    document: dict[str, Any] | None = None


class ToolChange(Asked):
    """What a tool does to the world, whatever was told of it."""

    kind: str
    """read, own_write, message, spend, credential, permission or destroy."""


class ToolView(BaseModel):
    """A tool of a connection."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of its arguments."""
    kind: str
    kind_by: str
    """Who said that this is what it does; empty: what told of it."""
    hash: str
    seen_at: str | None
    """When it was told of last; null for what all connections of its kind can do."""
    outdated: list[str]
    """Agents whose current version pinned another tool than this: they need a new version."""


class ToolsTold(BaseModel):
    """What became of the tools of a connection when they were told anew."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    left_out: dict[str, str]
    """Tools that were told of and cannot be had, each with the reason."""
    items: list[ToolView]


@router.get("/tenants/{tenant}/connections/{name}/tools")
async def list_tools(at: InTenant, name: ConnectionName) -> Listed[ToolView]:
    """Return the tools of a connection that the tenant sees."""
    return Listed(items=await _shown(at.state, at.tenant.id, name, at.tenancy))


@router.post("/tenants/{tenant}/connections/{name}/tools")
async def refresh_tools(at: InTenant, name: ConnectionName, body: ToolsAnew) -> ToolsTold:
    """Have the tools of the tenant's own connection told anew; versions keep what they were granted."""
    told = await at.state.gateway.refresh_tools(at.tenant.id, name, document=body.document, by=at.caller.actor)
    return ToolsTold(**told, items=await _shown(at.state, at.tenant.id, name, at.tenancy))


@router.patch("/tenants/{tenant}/connections/{name}/tools/{tool}")
async def change_tool(at: InTenant, name: ConnectionName, tool: ToolName, body: ToolChange) -> ToolView:
    """Say what a tool of the tenant's own connection does to the world; versions that pinned it need a new one."""
    await at.state.gateway.set_tool_kind(at.tenant.id, name, tool, kind=body.kind, by=at.caller.actor)
    return next(one for one in await _shown(at.state, at.tenant.id, name, at.tenancy) if one.name == tool)


@router.get("/connections/{name}/tools")
async def list_platform_tools(caller: Operator, state: TheState, name: ConnectionName) -> Listed[ToolView]:
    """Return the tools of a connection of the platform's; whose version pinned another, its tenants are told."""
    return Listed(items=await _shown(state, None, name))


@router.post("/connections/{name}/tools")
async def refresh_platform_tools(caller: Operator, state: TheState, name: ConnectionName, body: ToolsAnew) -> ToolsTold:
    """Have the tools of a connection of the platform's told anew."""
    told = await state.gateway.refresh_tools(None, name, document=body.document, by=caller.actor)
    return ToolsTold(**told, items=await _shown(state, None, name))


@router.patch("/connections/{name}/tools/{tool}")
async def change_platform_tool(
    caller: Operator, state: TheState, name: ConnectionName, tool: ToolName, body: ToolChange
) -> ToolView:
    """Say what a tool of a connection of the platform's does to the world."""
    await state.gateway.set_tool_kind(None, name, tool, kind=body.kind, by=caller.actor)
    return next(one for one in await _shown(state, None, name) if one.name == tool)


async def _shown(
    state: TheState, tenant: str | None, connection: str, tenancy: Tenancy | None = None
) -> list[ToolView]:
    told = await state.gateway.list_tools(tenant, connection)
    specs = [] if tenancy is None else await in_thread(_current, tenancy)
    return [_view(one, _outdated(specs, f"{connection}.{one['name']}", one)) for one in told]


def _current(tenancy: Tenancy) -> list[tuple[str, Spec]]:
    """Return every agent's name with what its new runs start with, and with what a share of them tries."""
    found: list[tuple[str, Spec]] = []
    after = ""
    with tenancy.read() as scope:
        while agents := scope.agents.page(after=after):
            started = [(agent.name, version) for agent in agents for version in (agent.version, agent.trial)]
            found += [(name, scope.versions.find(version).spec) for name, version in started if version]
            after = agents[-1].id
    return found


def _outdated(specs: Sequence[tuple[str, Spec]], tool: str, told: dict[str, Any]) -> list[str]:
    if not told["apart"]:
        return []  # what its kind can do changes with the platform alone
    named = [(agent, spec.pinned.get(tool)) for agent, spec in specs if tool in spec.tools]
    return sorted({agent for agent, pinned in named if pinned is None or pinned.hash != told["hash"]})


def _view(told: dict[str, Any], outdated: list[str]) -> ToolView:
    shown = {name: value for name, value in told.items() if name != "apart"}
    return ToolView(**shown | {"seen_at": told_moment(told["seen_at"]), "outdated": outdated})
