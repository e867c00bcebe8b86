"""Publishing a version: what it is granted must exist, and once it is written down it never changes."""

from dataclasses import replace

from sqlalchemy import Connection as Tx

from freehold.core.effects import SANDBOX, SEARCH
from freehold.core.errors import Conflict, Invalid
from freehold.gateway import connections, secrets, tools
from freehold.gateway.calls.routing import routes
from freehold.gateway.connections import Connected, Drivers
from freehold.gateway.egress import hosts_granted
from freehold.gateway.grants import Grants, target
from freehold.gateway.keeping import Keep
from freehold.gateway.versions import stored, write

_SEARCH = (
    "Make the connection it searches by: freehold connection create search search --tenant TENANT --config provider=NAME "
    "--secret SECRET, or with --config provider=searxng --base-url URL."
)


def publish(tx: Tx, keep: Keep, drivers: Drivers, *, grants: Grants, rehearsal: bool, by: str) -> None:
    """
    Write down what a version may do.

    Raises `Invalid` if the model or a tool does not exist for the tenant, the model's secret is missing, or a host is
    none (`bad_egress`); `Conflict` (`tool_changed`) if a tool is not what is pinned. Publishing the same again changes
    nothing; a version that would say something else is a `Conflict`: versions never change.
    """
    for route in routes(tx, drivers, tenant=grants.tenant, model=grants.model, rehearsal=rehearsal):
        _openable(tx, route.connected)
    for tool in grants.tools:
        _known(tx, drivers, grants, tool)
    grants = replace(grants, egress=hosts_granted.checked(grants.egress))
    known = stored(tx, grants.tenant, grants.version)
    if known is not None and known != grants:
        raise Conflict(
            "This version was published with other grants.", code="version_exists", remedy="Make a new version."
        )
    if known is None:
        write(tx, keep, grants, by=by)


def _unknown(connected: Connected | None) -> str:
    if connected is None:
        return "Create its connection first, or correct CONNECTION.OPERATION; `freehold connection list` shows what is there."
    return f"`freehold connection tools {connected.name}` shows what this connection can do."


def _openable(tx: Tx, connected: Connected) -> None:
    secret = connected.secret
    if secret is not None and not secrets.exists(tx, tenant=connected.owner, name=secret):
        raise Invalid(
            f"The connection {connected.name!r} uses a secret {secret!r} that is not there.",
            code="missing_secret",
            remedy=f"Set it with: freehold secret set {secret}",
        )


def _known(tx: Tx, drivers: Drivers, grants: Grants, tool: str) -> None:
    name, operation = target(tool)
    if name == SANDBOX:
        return
    connected = connections.find(tx, drivers, tenant=grants.tenant, name=name)
    found = None if connected is None else tools.find(tx, drivers, connected, operation)
    if found is None:
        raise Invalid(
            f"There is no tool {tool!r}.",
            code="unknown_tool",
            remedy=_SEARCH if name == SEARCH else _unknown(connected),
        )
    pin = grants.pins.get(f"{name}.{operation}")
    if tools.hash_of(found) != pin if pin is not None else found.how:
        raise Conflict(
            f"The tool {tool!r} is not what it was a moment ago.",
            code="tool_changed",
            remedy=f"See what it is now with `freehold connection tools {name}`, and make the version again.",
        )
