"""
Tools named `CONNECTION.OPERATION`: effects on outside accounts, which the gateway carries out itself.

A model is told of each what its version pinned, and nothing that was said since.
"""

from collections.abc import Sequence
from typing import Any, final

from typing_extensions import override

from freehold.agents.effects import submit
from freehold.agents.ports import Gateway
from freehold.agents.sources import Call, Result, ToolSource, ToolSpec, failed
from freehold.core.agents import Version
from freehold.core.effects import Verdict
from freehold.core.parts import Origin
from freehold.core.tools import Pinned
from freehold.runs.segment import Segment

_ANY: dict[str, Any] = {"type": "object", "additionalProperties": True}


@final
class ConnectionTools(ToolSource):
    """Whatever the tenant's connections can do."""

    def __init__(self, gateway: Gateway) -> None:
        """Have the gateway do it."""
        self._gateway = gateway

    @override
    def tools(self, version: Version) -> Sequence[ToolSpec]:
        return [
            _spec(name, verdict, version.spec.pinned.get(name))
            for name, verdict in sorted(version.spec.tools.items())
            if "." in name
        ]

    @override
    async def call(self, segment: Segment, call: Call) -> Result:
        if isinstance(call.arguments, str):
            return failed("bad_arguments", f"{call.name} cannot be called like this: the arguments are no JSON object.")
        connection, _, operation = call.name.partition(".")
        _, result = await submit(
            self._gateway, segment, call, connection=connection, operation=operation, arguments=call.arguments
        )
        return result


def _spec(name: str, verdict: Verdict, pinned: Pinned | None) -> ToolSpec:
    """Return a tool as a model is told of it; versions from before tools were pinned know no more than its name."""
    connection, _, operation = name.partition(".")
    said = pinned.description if pinned else ""
    return ToolSpec(
        name=name,
        description=said or f"The operation {operation!r} of the connection {connection!r}.",
        parameters=dict(pinned.parameters) if pinned else _ANY,
        verdict=verdict,
        origin=Origin.CONNECTION,
    )
