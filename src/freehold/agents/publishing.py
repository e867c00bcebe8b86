"""
Creating agents and their versions.

A version is addressed by its content, so the same content is the same version. The gateway is told of it first:
what a version may do must stand there before anything runs with it, and a crash in between leaves nothing that
anybody sees.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final, Protocol

from freehold.agents.delegating import NAME as DELEGATE
from freehold.agents.deploying import deployed
from freehold.agents.granting import MAX_TOOLS, Telling, granted, too_many
from freehold.agents.sandbox_tools import NAMES as SANDBOX_TOOLS
from freehold.audit.canonical import digest
from freehold.audit.database import note
from freehold.core.agents import Agent, Spec, Version
from freehold.core.clock import Clock
from freehold.core.effects import MODELS, WEB_FETCH, WEB_SEARCH
from freehold.core.errors import Conflict, Invalid, NotFound
from freehold.core.ids import NewId
from freehold.core.quotas import Quota
from freehold.store.scope import Scope, Tenancy
from freehold.store.threads import in_thread
from freehold.tenants.quotas import admit

MAX_INSTRUCTIONS: Final = 100_000
MAX_MODEL: Final = 200
MAX_EGRESS: Final = 100
MAX_HOST: Final = 300
PLATFORM_TOOLS: Final = SANDBOX_TOOLS | {DELEGATE, MODELS, WEB_FETCH, WEB_SEARCH}
"""Tools that every tenant has; all others are named CONNECTION.OPERATION."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,38}")
_CONNECTION_TOOL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.(\*|[A-Za-z0-9_.-]{1,64})")


class Publisher(Telling, Protocol):
    """The part of `freehold.gateway.client.WebGateway` that grants a version its model and tools."""

    async def publish(
        self,
        *,
        tenant: str,
        agent: str,
        version: str,
        model: str,
        tools: dict[str, str],
        pins: Mapping[str, str],
        egress: Sequence[str],
        by: str,
    ) -> None:
        """Grant them; the same again changes nothing."""
        ...


async def create_agent(
    tenancy: Tenancy, gateway: Publisher, *, name: str, spec: Spec, by: str, ids: NewId, clock: Clock
) -> tuple[Agent, Version]:
    """
    Create the agent `name` with its first version and return both.

    Raises `Invalid` (`bad_name`, and what the gateway finds wrong: `unknown_model`, `missing_secret`,
    `unknown_tool`, `bad_egress`), `Conflict` (`name_taken`, and `tool_changed` if a tool was told otherwise meanwhile)
    or `Denied` (`quota_exceeded`, `tier_ended`); then nothing was created.
    """
    _check_name(name)
    _check_spec(spec)
    await in_thread(_check_free, tenancy, name, clock.now())
    spec, pins = await granted(gateway, tenant=tenancy.tenant, spec=spec)
    agent_id = ids("agt")
    version = Version(id=version_id(agent_id, spec), agent=agent_id, number=1, spec=spec, created_at=clock.now())
    await _publish(gateway, tenancy.tenant, version, pins, by)
    agent = Agent(id=agent_id, name=name, version=version.id, created_at=version.created_at)

    def write() -> None:
        with tenancy.write() as scope:
            admit(scope.connection, scope.tenant, Quota.AGENTS, at=clock.now())
            scope.agents.add(agent)
            scope.versions.add(version)
            _note(scope, version, at=clock.now(), by=by, action="agent.create", name=name)

    await in_thread(write)
    return agent, version


async def new_version(
    tenancy: Tenancy, gateway: Publisher, *, agent: str, spec: Spec, by: str, clock: Clock, deploy: bool = True
) -> tuple[Agent, Version]:
    """
    Make a version of `agent` (its name or id) that is `spec`, let new runs start with it, and return both.

    Content that an earlier version has is that version. Without `deploy` new runs start with what they did before.
    Runs under way keep theirs.
    """
    _check_spec(spec)
    spec, pins = await granted(gateway, tenant=tenancy.tenant, spec=spec)
    found, known = await in_thread(_look_up, tenancy, agent, spec)
    # What is granted is what was asked for now, not what stands in the database under that address.
    version = Version(id=version_id(found.id, spec), agent=found.id, number=0, spec=spec, created_at=clock.now())
    await _publish(gateway, tenancy.tenant, version, pins, by)

    def write() -> tuple[Agent, Version]:
        with tenancy.write() as scope:
            if known is None:
                numbered = replace(version, number=scope.versions.next_number(found.id))
                scope.versions.add(numbered)
            before = scope.agents.taken(found.id)
            after = deployed(scope, before, version.id, at=clock.now()) if deploy else before
            was = before.version if deploy else ""
            _note(scope, version, at=clock.now(), by=by, action="version.create", name=found.name, before=was)
            return after, scope.versions.find(version.id)

    return await in_thread(write)


def version_id(agent: str, spec: Spec) -> str:
    """Return the address of `spec` as a version of `agent`: what it says and whose it is, hashed."""
    return f"ver_{digest({'agent': agent, 'spec': _plain(spec)})[:32]}"


def _plain(spec: Spec) -> dict[str, Any]:
    """Return what a version is addressed by; what came later counts where there is any, so that addresses stay."""
    plain = asdict(spec) | {"egress": list(spec.egress)}
    return {name: value for name, value in plain.items() if value or name not in {"egress", "pinned"}}


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name[:60]!r} cannot be the name of an agent.",
            code="bad_name",
            remedy="Use 1 to 39 small letters, digits and hyphens, beginning with a letter or a digit.",
        )


def _check_spec(spec: Spec) -> None:
    if not spec.model.strip() or len(spec.model) > MAX_MODEL:
        raise Invalid(
            "An agent needs a model.",
            code="unknown_model",
            remedy="Name a level, such as coordinator, or CONNECTION/MODEL.",
        )
    if len(spec.instructions) > MAX_INSTRUCTIONS:
        raise Invalid(
            f"Instructions are at most {MAX_INSTRUCTIONS} characters.", code="too_large", status=413, remedy="Cut them."
        )
    if len(spec.tools) > MAX_TOOLS:
        raise too_many()
    _check_egress(spec.egress)
    for tool in spec.tools:
        if tool not in PLATFORM_TOOLS and not _CONNECTION_TOOL.fullmatch(tool):
            raise Invalid(
                f"There is no tool {tool[:80]!r}.",
                code="unknown_tool",
                remedy=f"Use {', '.join(sorted(PLATFORM_TOOLS))}, CONNECTION.OPERATION or CONNECTION.*.",
            )


def _check_egress(egress: Sequence[str]) -> None:
    if len(egress) > MAX_EGRESS or any(len(host) > MAX_HOST for host in egress):
        raise Invalid(
            f"An agent's programs may go to at most {MAX_EGRESS} hosts of {MAX_HOST} letters.",
            code="too_large",
            status=413,
            remedy="Grant a whole domain, *.DOMAIN, or leave some out.",
        )


def _check_free(tenancy: Tenancy, name: str, at: datetime) -> None:
    """Refuse early what would be refused in the end, so that the gateway is told of nothing that comes to nothing."""
    with tenancy.read() as scope:
        scope.agents.require_all()
        try:
            scope.agents.find(name)
        except NotFound:
            admit(scope.connection, scope.tenant, Quota.AGENTS, at=at)
            return
    raise Conflict(
        f"There is an agent {name!r} already.",
        code="name_taken",
        remedy="Choose another name, or make a new version of that agent.",
    )


def _look_up(tenancy: Tenancy, agent: str, spec: Spec) -> tuple[Agent, Version | None]:
    with tenancy.read() as scope:
        found = scope.agents.find(agent)
        address = version_id(found.id, spec)
        return found, next((known for known in scope.versions.of(found.id) if known.id == address), None)


async def _publish(gateway: Publisher, tenant: str, version: Version, pins: Mapping[str, str], by: str) -> None:
    spec = version.spec
    await gateway.publish(
        tenant=tenant,
        agent=version.agent,
        version=version.id,
        model=spec.model,
        tools={tool: str(verdict) for tool, verdict in spec.tools.items()},
        pins=pins,
        egress=spec.egress,
        by=by,
    )


def _note(scope: Scope, version: Version, *, at: datetime, by: str, action: str, name: str, before: str = "") -> None:
    """Write down what the agent is now, and was `before`: a version's id is the hash of its content."""
    note(
        scope.connection,
        at=at,
        tenant=scope.tenant,
        actor=by,
        action=action,
        subject=version.agent,
        detail={"name": name, "version": version.id, "model": version.spec.model},
        before=before,
        after=version.id,
    )
