"""An approval: a question to a person that parks a run, bound to exact bytes."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from freehold.core.errors import BadTransition

OUTCOME_UNKNOWN: Final = "outcome_unknown"
"""The reason of a question about what may have happened already: whether it is done once more."""


class ApprovalState(StrEnum):
    """Where a question stands."""

    ASKED = "asked"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A question to a person about one effect."""

    id: str
    run: str
    agent: str
    key: str
    """The effect's key."""
    call: str
    """The id the model gave its tool call."""
    connection: str
    operation: str
    arguments: dict[str, Any]
    hash: str
    """SHA-256 of the effect's canonical bytes; a decision must name it."""
    created_at: datetime
    expires_at: datetime
    state: ApprovalState = ApprovalState.ASKED
    reason: str = ""
    """Why it is asked, where that is not just the version's wish: `outcome_unknown`, or a sentence."""
    kind: str = ""
    """What the effect does to the world, an `EffectKind`; empty for what the sandbox does."""
    attempts: int = 0
    """How often it was begun before this was asked; leave is good for the next attempt and no later one."""
    decided_by: str | None = None
    decided_at: datetime | None = None

    @property
    def again(self) -> bool:
        """Whether it may have happened already, and what is asked is whether it is done once more."""
        return self.reason == OUTCOME_UNKNOWN

    def decided(self, state: ApprovalState, *, by: str, at: datetime) -> "Approval":
        """Return the approval as decided; one that is decided already raises `BadTransition`."""
        if self.state is not ApprovalState.ASKED:
            raise BadTransition("approval", self.state, f"become {state}")
        return replace(self, state=state, decided_by=by, decided_at=at)
