"""An approval: a question to a person that parks a run, bound to exact bytes."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from freehold.core.errors import BadTransition


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
    decided_by: str | None = None
    decided_at: datetime | None = None

    def decided(self, state: ApprovalState, *, by: str, at: datetime) -> "Approval":
        """Return the approval as decided; one that is decided already raises `BadTransition`."""
        if self.state is not ApprovalState.ASKED:
            raise BadTransition("approval", self.state, f"become {state}")
        return replace(self, state=state, decided_by=by, decided_at=at)
