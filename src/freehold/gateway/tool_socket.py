"""What web may ask about the tools of connections."""

from typing import Any

from freehold.gateway import requests as asked
from freehold.gateway import telling_tools
from freehold.gateway.connections import Drivers
from freehold.gateway.edge import Answer, route
from freehold.gateway.keeping import Keep


def tool_routes(keep: Keep, drivers: Drivers) -> dict[str, Answer]:
    """Return what web's socket answers about tools."""

    async def of(request: asked.ToolsRequest) -> dict[str, Any]:
        named: dict[str, Any] = {"tenant": request.tenant, "names": request.connections}
        return await keep.read(lambda tx: telling_tools.told_of(tx, drivers, **named))

    return {"tools/of": route(asked.ToolsRequest, of)}
