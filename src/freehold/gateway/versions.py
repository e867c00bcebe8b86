"""Published versions as they are kept: what each immutable version was granted, and which model it may call."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, insert, select

from freehold.audit.canonical import fingerprint
from freehold.core.effects import Verdict
from freehold.core.errors import Denied
from freehold.gateway.grants import Grants
from freehold.gateway.keeping import Keep
from freehold.gateway.tables import versions

_PUBLISHED: Final = select(versions).where(
    versions.c.tenant == bindparam("of_tenant"), versions.c.version == bindparam("of_version")
)


def granted(tx: Tx, *, tenant: str, agent: str, version: str) -> Grants:
    """Return what `version` may do; raise `Denied` where the tenant's agent has no such version."""
    found = stored(tx, tenant, version)
    if found is None or found.agent != agent:
        raise Denied(
            "This version was never published for this agent.",
            code="not_published",
            remedy="Create the agent's version again.",
        )
    return found


def stored(tx: Tx, tenant: str, version: str) -> Grants | None:
    """Return what was published for `version`, if anything was."""
    row = tx.execute(_PUBLISHED, {"of_tenant": tenant, "of_version": version}).first()
    if row is None:
        return None
    tools = {tool: Verdict(verdict) for tool, verdict in row.tools.items()}
    return Grants(
        tenant=tenant,
        agent=row.agent,
        version=version,
        model=row.model,
        tools=tools,
        pins=row.pins,
        egress=tuple(row.egress),
    )


def write(tx: Tx, keep: Keep, grants: Grants, *, by: str) -> None:
    """Write down what a version may do that was not known before."""
    tools: Mapping[str, str] = {tool: str(verdict) for tool, verdict in grants.tools.items()}
    tx.execute(
        insert(versions).values(
            tenant=grants.tenant,
            version=grants.version,
            agent=grants.agent,
            model=grants.model,
            tools=tools,
            pins=dict(grants.pins),
            egress=list(grants.egress),
            published_by=by,
            published_at=keep.now(),
        )
    )
    detail = {"agent": grants.agent, "model": grants.model, "tools": tools}
    after = fingerprint(grants)
    keep.note(tx, grants.tenant, actor=by, action="version.publish", subject=grants.version, detail=detail, after=after)
