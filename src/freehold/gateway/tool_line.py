"""What web may ask of the gateway about the tools of connections."""

from collections.abc import Sequence
from typing import Any

from freehold.core.effects import EffectKind
from freehold.core.tools import Pinned, Told
from freehold.gateway.dialling import Line


class ToolLine(Line):
    """The part of web's line that is about tools; no tenant means the platform itself."""

    async def tools_of(self, tenant: str, connections: Sequence[str]) -> dict[str, dict[str, Told]]:
        """Return what each of these connections of `tenant` can do now, by operation; none that is not there."""
        told = await self.ask("tools/of", {"tenant": tenant, "connections": list(connections)})
        return {name: {op: _tool(one) for op, one in tools.items()} for name, tools in told.items()}

    async def list_tools(self, tenant: str | None, connection: str) -> list[dict[str, Any]]:
        """Return the tools of a connection: name, description, parameters, kind, kind_by, hash, apart, seen_at."""
        return list(await self.ask("tools/list", {"tenant": tenant, "connection": connection}))

    async def refresh_tools(
        self, tenant: str | None, connection: str, *, document: dict[str, Any] | None, by: str
    ) -> dict[str, Any]:
        """Have a connection's tools told anew; return the names `added`, `removed`, `changed`, and `left_out` with why."""
        asked = {"tenant": tenant, "connection": connection, "document": document, "by": by}
        return dict(await self.ask("tools/refresh", asked))

    async def set_tool_kind(
        self, tenant: str | None, connection: str, tool: str, *, kind: str, by: str
    ) -> dict[str, Any]:
        """Say what a tool does to the world, and return it as it is listed."""
        asked = {"tenant": tenant, "connection": connection, "tool": tool, "kind": kind, "by": by}
        return dict((await self.ask("tools/kind", asked))[0])


def _tool(told: dict[str, Any]) -> Told:
    pinned = told["pinned"]
    return Told(apart=told["apart"], pinned=Pinned(**pinned | {"kind": EffectKind(pinned["kind"])}))
