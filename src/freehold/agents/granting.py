"""
What a version is granted of connections: each tool as it is told of now, pinned.

`CONNECTION.*` means every tool the connection has at this moment, so a version never grows by itself. What a server
or a document told of may change without anybody here: its hash is what the gateway compares before each call.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Final, Protocol

from freehold.core.agents import Spec
from freehold.core.effects import SANDBOX
from freehold.core.errors import Invalid
from freehold.core.tools import Told

EVERY: Final = "*"
MAX_TOOLS: Final = 128
MAX_PINNED: Final = 512 * 1024
"""Bytes of all that a version pins: a model reads it with every question."""


class Telling(Protocol):
    """Tells what connections can do."""

    async def tools_of(self, tenant: str, connections: Sequence[str]) -> Mapping[str, Mapping[str, Told]]:
        """Return the tools of each of these connections, by operation; a connection that is not there is left out."""
        ...


async def granted(gateway: Telling, *, tenant: str, spec: Spec) -> tuple[Spec, dict[str, str]]:
    """
    Return `spec` with every tool of a connection named and pinned, and the hashes that bind.

    Raises `Invalid`: `unknown_tool` for `CONNECTION.*` of what has no tools, `too_many_tools` or `too_large`.
    """
    connections = sorted({name.partition(".")[0] for name in spec.tools if "." in name} - {SANDBOX})
    told = await gateway.tools_of(tenant, connections) if connections else {}
    has = {f"{connection}.{name}": tool for connection, tools in told.items() for name, tool in tools.items()}
    tools = dict(spec.tools)
    for stated in [name for name in spec.tools if name.endswith(f".{EVERY}")]:
        verdict, every = tools.pop(stated), stated.removesuffix(EVERY)
        found = sorted(name for name in has if name.startswith(every))
        if not found:
            raise _nothing(every.removesuffix("."))
        tools = dict.fromkeys(found, verdict) | tools  # what is named itself is meant so
    if len(tools) > MAX_TOOLS:
        raise too_many()
    pinned = {name: has[name].pinned for name in tools if name in has}
    _check_size(spec, [asdict(one) for one in pinned.values()])
    pins = {name: pinned[name].hash for name in pinned if has[name].apart}
    return replace(spec, tools=tools, pinned=pinned), pins


def too_many() -> Invalid:
    """Return the error that tells that an agent has too many tools."""
    return Invalid(f"An agent has at most {MAX_TOOLS} tools.", code="too_many_tools", remedy="Leave some out.")


def _nothing(connection: str) -> Invalid:
    return Invalid(
        f"The connection {connection!r} has no tools.",
        code="unknown_tool",
        remedy=f"See what it can do with: freehold connection tools {connection}",
    )


def _check_size(spec: Spec, pinned: Sequence[Mapping[str, object]]) -> None:
    if len(json.dumps(pinned)) > MAX_PINNED:
        raise Invalid(
            f"The descriptions of {len(spec.tools)} tools are more than {MAX_PINNED // 1024} KiB.",
            code="too_large",
            status=413,
            remedy="Grant the agent fewer of them, and further ones to another agent.",
        )
