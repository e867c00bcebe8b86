"""What web may ask about the tools of connections: what there are, to be told anew, and what one does to the world."""

from collections.abc import Awaitable, Callable
from typing import Any, cast, final

from sqlalchemy import Connection as Tx

from freehold.audit.recording import PLATFORM
from freehold.core.errors import Conflict, Invalid
from freehold.gateway import changing_tools, connections, switches, telling_tools
from freehold.gateway import requests as asked
from freehold.gateway.connections import Connected, Drivers
from freehold.gateway.credentials import opened_for
from freehold.gateway.edge import Answer, route
from freehold.gateway.keeping import Keep
from freehold.gateway.ports import Credential, Discovering, Reached

Ready = Callable[[str, str], Awaitable[None]]
"""Has the account behind a tenant's connection prolonged."""


def tool_routes(keep: Keep, drivers: Drivers, ready: Ready) -> dict[str, Answer]:
    """Return what web's socket answers about tools."""
    tools = _Tools(keep, drivers, ready)
    return {
        "tools/of": route(asked.ToolsRequest, tools.of),
        "tools/list": route(asked.ToolRequest, tools.listed),
        "tools/refresh": route(asked.ToolRequest, tools.refresh),
        "tools/kind": route(asked.ToolRequest, tools.set_kind),
    }


@final
class _Tools:
    """Answers about tools, one method per route."""

    def __init__(self, keep: Keep, drivers: Drivers, ready: Ready) -> None:
        self._keep, self._drivers, self._ready = keep, drivers, ready

    async def of(self, request: asked.ToolsRequest) -> dict[str, Any]:
        named: dict[str, Any] = {"tenant": request.tenant, "names": request.connections}
        return await self._keep.read(lambda tx: telling_tools.told_of(tx, self._drivers, **named))

    async def listed(self, request: asked.ToolRequest) -> list[dict[str, Any]]:
        named: dict[str, Any] = {"tenant": request.tenant, "name": request.connection}
        return await self._keep.read(lambda tx: telling_tools.listed(tx, self._drivers, **named))

    async def refresh(self, request: asked.ToolRequest) -> changing_tools.Change:
        """Ask the connection's server, or read the document; nothing is held meanwhile."""
        if request.document is None:
            await self._ready(request.tenant or PLATFORM, request.connection)
        connected, to = await self._keep.write(lambda tx: self._asked(tx, request))
        driver = self._drivers.connectors.get(connected.kind)
        if not hasattr(driver, "discover"):
            raise Invalid(
                f"A connection of kind {connected.kind!r} has only the tools that all of its kind have.",
                code="nothing_to_ask",
                remedy="Tools come from a connection of kind mcp, or of kind http with an OpenAPI document.",
            )
        told = await cast("Discovering", driver).discover(to, request.document)

        def write(tx: Tx) -> changing_tools.Change:
            if self._own(tx, request) != connected:
                raise Conflict("The connection was changed meanwhile.", remedy="Ask it again.")
            return changing_tools.told_anew(tx, self._keep, self._drivers, connected, told, by=request.by)

        return await self._keep.write(write)

    async def set_kind(self, request: asked.ToolRequest) -> list[dict[str, Any]]:
        kind = changing_tools.kind_of(request.kind)

        def write(tx: Tx) -> None:
            named: dict[str, Any] = {"name": request.tool, "kind": kind, "by": request.by}
            changing_tools.set_kind(tx, self._keep, self._own(tx, request), **named)

        await self._keep.write(write)
        return [one for one in await self.listed(request) if one["name"] == request.tool]

    def _asked(self, tx: Tx, request: asked.ToolRequest) -> tuple[Connected, Reached]:
        """Write down that a connection is asked, before it is, and return how it is reached."""
        switches.require_effects(tx, request.tenant or PLATFORM)
        connected = self._own(tx, request)
        to = Reached(
            owner=connected.owner,
            name=connected.name,
            config=connected.config,
            # Reading a document opens nothing, so nobody needs to be signed in for it.
            credential=opened_for(tx, self._keep, connected) if request.document is None else Credential(),
            behalf=connected.behalf(request.tenant or PLATFORM),
        )
        detail = {"kind": connected.kind, "document": request.document is not None}
        self._keep.note(tx, request.tenant, actor=request.by, action="tools.ask", subject=connected.name, detail=detail)
        return connected, to

    def _own(self, tx: Tx, request: asked.ToolRequest) -> Connected:
        """Return a connection of the asker's own: what belongs to the platform, a tenant only sees."""
        found = connections.find(tx, self._drivers, tenant=request.tenant, name=request.connection)
        if found is None or found.owner != (request.tenant or PLATFORM):
            raise connections.missing(request.connection)
        return found
