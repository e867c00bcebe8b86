"""Published versions: what each immutable version was granted, and which model it may call."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, insert, select

from freehold.audit.canonical import fingerprint
from freehold.core.effects import SANDBOX, Verdict
from freehold.core.errors import Conflict, Denied, Invalid
from freehold.gateway import connections, secrets
from freehold.gateway.calls.routing import routes
from freehold.gateway.connections import Connected, Drivers
from freehold.gateway.grants import Grants, target
from freehold.gateway.keeping import Keep
from freehold.gateway.tables import versions

_PUBLISHED: Final = select(versions).where(
    versions.c.tenant == bindparam("of_tenant"), versions.c.version == bindparam("of_version")
)


def publish(tx: Tx, keep: Keep, drivers: Drivers, *, grants: Grants, rehearsal: bool, by: str) -> None:
    """
    Write down what a version may do.

    Raises `Invalid` if the model or a tool does not exist for the tenant, or the model's secret is missing. Publishing
    the same again changes nothing; a version that would say something else is a `Conflict`: versions never change.
    """
    for route in routes(tx, drivers, tenant=grants.tenant, model=grants.model, rehearsal=rehearsal):
        _openable(tx, route.connected)
    for tool in grants.tools:
        _known(tx, drivers, tenant=grants.tenant, tool=tool)
    known = _stored(tx, grants.tenant, grants.version)
    if known is not None and known != grants:
        raise Conflict(
            "This version was published with other grants.", code="version_exists", remedy="Make a new version."
        )
    if known is None:
        _write(tx, keep, grants, by=by)


def granted(tx: Tx, *, tenant: str, agent: str, version: str) -> Grants:
    """Return what `version` may do; raise `Denied` where the tenant's agent has no such version."""
    found = _stored(tx, tenant, version)
    if found is None or found.agent != agent:
        raise Denied(
            "This version was never published for this agent.",
            code="not_published",
            remedy="Create the agent's version again.",
        )
    return found


def _openable(tx: Tx, connected: Connected) -> None:
    secret = connected.secret
    if secret is not None and not secrets.exists(tx, tenant=connected.owner, name=secret):
        raise Invalid(
            f"The connection {connected.name!r} uses a secret {secret!r} that is not there.",
            code="missing_secret",
            remedy=f"Set it with: freehold secret set {secret}",
        )


def _known(tx: Tx, drivers: Drivers, *, tenant: str, tool: str) -> None:
    name, operation = target(tool)
    if name == SANDBOX:
        return
    connected = connections.find(tx, drivers, tenant=tenant, name=name)
    driver = drivers.connectors.get(connected.kind) if connected else None
    if driver is None or operation not in driver.operations:
        raise Invalid(
            f"There is no tool {tool!r}.",
            code="unknown_tool",
            remedy="Create its connection first, or correct CONNECTION.OPERATION.",
        )


def _stored(tx: Tx, tenant: str, version: str) -> Grants | None:
    row = tx.execute(_PUBLISHED, {"of_tenant": tenant, "of_version": version}).first()
    if row is None:
        return None
    tools = {tool: Verdict(verdict) for tool, verdict in row.tools.items()}
    return Grants(tenant=tenant, agent=row.agent, version=version, model=row.model, tools=tools)


def _write(tx: Tx, keep: Keep, grants: Grants, *, by: str) -> None:
    tools: Mapping[str, str] = {tool: str(verdict) for tool, verdict in grants.tools.items()}
    tx.execute(
        insert(versions).values(
            tenant=grants.tenant,
            version=grants.version,
            agent=grants.agent,
            model=grants.model,
            tools=tools,
            published_by=by,
            published_at=keep.now(),
        )
    )
    detail = {"agent": grants.agent, "model": grants.model, "tools": tools}
    after = fingerprint(grants)
    keep.note(tx, grants.tenant, actor=by, action="version.publish", subject=grants.version, detail=detail, after=after)
