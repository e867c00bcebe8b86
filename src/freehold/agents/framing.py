"""What every version is told first: its own instructions, and a few words about where it works."""

from collections.abc import Sequence
from typing import Final, final

from typing_extensions import override

from freehold.agents.sandbox_tools import NAMES as SANDBOX_TOOLS
from freehold.agents.sources import ContextSource
from freehold.core.agents import Version
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
    notes += [APPROVAL_NOTE] if offered else []
    return [text for text in (version.spec.instructions, " ".join(notes)) if text]
