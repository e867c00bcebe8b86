"""What a version may do: pure decisions over what was published, with no for an answer where nothing says yes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from freehold.core.effects import MODELS, SANDBOX, SEARCH, WEB, WEB_FETCH, WEB_SEARCH, Verdict
from freehold.core.errors import Invalid

WORKER_TOOLS: Final = frozenset({"shell", "read_file", "write_file", "list_files", "delete_file", "delegate", MODELS})
"""Tools of the platform's own: the worker carries them out, as operations of the connection `sandbox`."""
OUTWARD_TOOLS: Final = MappingProxyType({WEB_FETCH: (WEB, "fetch"), WEB_SEARCH: (SEARCH, "search")})
"""Tools of the platform's own that are operations of connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What was published for one immutable version."""

    tenant: str
    agent: str
    version: str
    model: str
    tools: Mapping[str, Verdict] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    """The hash that each tool of a connection had when it was granted."""
    egress: tuple[str, ...] = ()
    """Hosts that programs may go to: `HOST`, `*.DOMAIN`, either with `:PORT`."""


def target(tool: str) -> tuple[str, str]:
    """Return connection and operation of `tool`: `CONNECTION.OPERATION`, or one of the worker's own."""
    connection, dot, operation = tool.partition(".")
    if not dot and tool in WORKER_TOOLS:
        return SANDBOX, tool
    if tool in OUTWARD_TOOLS:
        return OUTWARD_TOOLS[tool]
    if connection == SANDBOX or not connection or not operation:
        raise Invalid(
            f"There is no tool {tool!r}.",
            code="unknown_tool",
            remedy=f"Use one of {', '.join(sorted(WORKER_TOOLS | OUTWARD_TOOLS.keys()))}, or CONNECTION.OPERATION.",
        )
    return connection, operation


def judge(grants: Grants | None, *, connection: str, operation: str) -> Verdict:
    """Return the strictest verdict of any granted tool that means this operation; no match is a no."""
    tools = grants.tools if grants else {}
    verdicts = {verdict for tool, verdict in tools.items() if target(tool) == (connection, operation)}
    for verdict in (Verdict.DENY, Verdict.ASK, Verdict.ALLOW):
        if verdict in verdicts:
            return verdict
    return Verdict.DENY
