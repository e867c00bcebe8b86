"""What every version is told first: its own instructions, and a few words about where it works."""

from collections.abc import Sequence
from typing import Final, final

from typing_extensions import override

from freehold.agents.sandbox_tools import NAMES as SANDBOX_TOOLS
from freehold.agents.sources import ContextSource
from freehold.core.agents import Spec, Version
from freehold.core.effects import MODELS, Verdict
from freehold.core.parts import Label, Origin, Part, Role
from freehold.runs.segment import Segment

SANDBOX_NOTE: Final = (
    "Commands and files are in your sandbox: it has no network, its folder /work is kept between tasks, "
    "and everything else in it is gone after each one."
)
MODELS_NOTE: Final = (
    "Programs in it may call models, at OPENAI_BASE_URL and ANTHROPIC_BASE_URL; GET $OPENAI_BASE_URL/models lists them."
)
HOSTS_NOTE: Final = (
    "Programs in it reach {hosts} through the proxy that HTTPS_PROXY names, which most read by themselves; other hosts "
    "are refused, and the refusal says why."
)
CONNECTIONS_NOTE: Final = "Programs in it may use {connections} at $FREEHOLD_EGRESS/CONNECTION/PATH; what opens a connection is added on the way."
NAMED: Final = 20
"""Hosts that are told by name; of more, how many there are."""
METHODS: Final = frozenset({"get", "head", "post", "put", "patch", "delete"})
"""Operations that programs may ask a connection for."""
APPROVAL_NOTE: Final = (
    "Some tools wait until a person allows the call. When a call is refused or denied, do not look for a way round: "
    "say what you could not do."
)


@final
class Instructions(ContextSource):
    """The instructions of the version, and the platform's note about its tools."""

    @override
    async def parts(self, segment: Segment) -> Sequence[Part]:
        return [
            Part(role=Role.INSTRUCTIONS, content={"text": text}, label=Label(origins=frozenset({Origin.OWNER})))
            for text in texts(segment.version)
        ]


def texts(version: Version) -> list[str]:
    """Return what `version` is told first."""
    offered = {name for name, verdict in version.spec.tools.items() if verdict is not Verdict.DENY}
    notes = [SANDBOX_NOTE] if offered & SANDBOX_TOOLS else []
    notes += [MODELS_NOTE] if notes and version.spec.tools.get(MODELS) is Verdict.ALLOW else []
    notes += _ways_out(version.spec) if notes else []
    notes += [APPROVAL_NOTE] if offered else []
    return [text for text in (version.spec.instructions, " ".join(notes)) if text]


def _ways_out(spec: Spec) -> list[str]:
    allowed = (tool.partition(".") for tool, verdict in spec.tools.items() if verdict is Verdict.ALLOW)
    connections = sorted({connection for connection, _, operation in allowed if operation in METHODS})
    notes = [HOSTS_NOTE.format(hosts=_list(spec.egress))] if spec.egress else []
    return notes + ([CONNECTIONS_NOTE.format(connections=_list(connections))] if connections else [])


def _list(names: Sequence[str]) -> str:
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([*names[:NAMED], *more])
