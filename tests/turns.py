"""A stage set for one agent: its scripted model, its gateway and its sandbox, all in memory."""

from collections.abc import Iterable
from dataclasses import dataclass

from freehold.agents.connection_tools import ConnectionTools
from freehold.agents.delegating import Delegating
from freehold.agents.framing import Instructions
from freehold.agents.loop import body_of
from freehold.agents.sandbox_tools import SandboxTools
from freehold.core.agents import Spec
from freehold.core.effects import Verdict
from freehold.testing.gateways import Line, MemoryGateway
from freehold.testing.guests import Command, MemoryGuest, MemorySandboxes
from freehold.testing.segments import Stage

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Set:
    """Everything a test may look at."""

    gateway: MemoryGateway
    sandboxes: MemorySandboxes
    stage: Stage

    @property
    def guest(self) -> MemoryGuest:
        return self.sandboxes.guest

    def results(self) -> list[object]:
        """Return what the model was told about each call, in the order it became known."""
        return [content["value"] for role, content in self.stage.said() if role == "result"]


def set_up(
    lines: Iterable[Line],
    *,
    tools: dict[str, str] | None = None,
    commands: dict[str, Command] | None = None,
    instructions: str = "",
) -> Set:
    verdicts = {name: Verdict(verdict) for name, verdict in (tools or {}).items()}
    gateway = MemoryGateway(lines, verdicts=verdicts)
    sandboxes = MemorySandboxes(MemoryGuest(commands))
    body = body_of(
        gateway=gateway,
        sandboxes=sandboxes,
        tools=[SandboxTools(gateway, sandboxes, timeout=60), ConnectionTools(gateway), Delegating(gateway)],
        contexts=[Instructions()],
        model_attempts=ATTEMPTS,
    )
    return Set(gateway, sandboxes, Stage(body, Spec(model="rehearsal", instructions=instructions, tools=verdicts)))
