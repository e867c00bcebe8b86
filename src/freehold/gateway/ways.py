"""
The way an effect goes: found for its connection, and held to what was granted, approved and begun.

An approval is good for one connection as it was when somebody was asked, not for its name: what was made anew under
it, leads elsewhere or opens another account is another. A counterpart that knows a key is one counterpart, too.
"""

from sqlalchemy import Connection as Tx

from freehold.audit.canonical import digest
from freehold.core.effects import EffectKind
from freehold.core.errors import Denied
from freehold.gateway import connections, tokens, tools
from freehold.gateway.connections import Connected, Drivers
from freehold.gateway.credentials import opened_for
from freehold.gateway.grants import Grants
from freehold.gateway.keeping import Keep
from freehold.gateway.ledger import Intent
from freehold.gateway.oauth import FIELD
from freehold.gateway.opening import ALTERED, CHANGED, Way
from freehold.gateway.ports import Reached
from freehold.gateway.steps import Standing
from freehold.gateway.tools import hash_of


def found(tx: Tx, keep: Keep, drivers: Drivers, intent: Intent, *, governed: bool) -> Way:
    """
    Return the way to carry `intent` out.

    Raises `NotFound` where there is no such connection or tool, and what `credentials.opened_for` raises.
    """
    connected = connections.find(tx, drivers, tenant=intent.tenant, name=intent.connection)
    driver = drivers.connectors.get(connected.kind) if connected else None
    tool = tools.find(tx, drivers, connected, intent.operation) if connected else None
    if connected is None or driver is None or tool is None:
        raise tools.missing(connected, intent.connection, intent.operation)
    if not governed and intent.tenant and not driver.replies:
        raise Denied("Nothing is delivered through this connection.", code="not_granted")
    to = Reached(
        owner=connected.owner,
        name=connected.name,
        config=connected.config,
        credential=opened_for(tx, keep, connected),
        behalf=connected.behalf(intent.tenant),
    )
    return Way(driver=driver, tool=tool, connected=connected, to=to, mark=mark_of(tx, connected))


def seen(tx: Tx, drivers: Drivers, intent: Intent) -> tuple[EffectKind | None, str]:
    """Return what `intent` would do, as far as that is known, and the mark of the connection it would go by."""
    connected = connections.find(tx, drivers, tenant=intent.tenant, name=intent.connection)
    if connected is None:
        return None, ""
    tool = tools.find(tx, drivers, connected, intent.operation)
    return tool.kind if tool else None, mark_of(tx, connected)


def mark_of(tx: Tx, connected: Connected) -> str:
    """Return what a connection is known by as it is now; another secret under the same name changes nothing."""
    account = ""
    if connected.config.get(FIELD) is not None:
        signed_in = tokens.find(tx, owner=connected.owner, connection=connected.name)
        account = signed_in.account if signed_in else ""
    return digest([connected.id, connected.kind, connected.config, connected.secret or "", account])


def objection(intent: Intent, standing: Standing | None, grants: Grants, way: Way) -> dict[str, str] | None:
    """Return why `way` is not what the version was granted, or not what was approved or begun; none where it is."""
    pin = grants.pins.get(f"{intent.connection}.{intent.operation}")
    if pin != hash_of(way.tool) if pin is not None else way.tool.how:
        return CHANGED
    altered = standing is not None and standing.mark is not None and standing.mark != way.mark
    return ALTERED if altered else None
