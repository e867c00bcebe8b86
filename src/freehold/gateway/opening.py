"""What writing an intent down comes to: a way to carry it out, or an outcome to tell."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from freehold.core.effects import SANDBOX, EffectKind, EffectState, Outcome
from freehold.core.errors import FreeholdError
from freehold.core.money import UsageKind
from freehold.core.tools import Tool
from freehold.gateway.asked import Whom
from freehold.gateway.connections import Connected
from freehold.gateway.ledger import Intent
from freehold.gateway.money import meter
from freehold.gateway.ports import ConnectorDriver, Reached
from freehold.gateway.steps import Standing

NOT_GRANTED: Final = {
    "code": "not_granted",
    "message": "This version was not granted that.",
    "remedy": "Grant the tool in a new version of the agent.",
}
CHANGED: Final = {
    "code": "tool_changed",
    "message": "This tool is not what this version was granted any more.",
    "remedy": "Look at it with `freehold connection tools`, and make a new version of the agent.",
}
ALTERED: Final = {
    "code": "altered",
    "message": "The connection is not what it was when this was asked for: it was changed, or made anew.",
    "remedy": "Ask again in a new step, so that somebody decides about it as it is now.",
}
EXPIRED: Final = {"code": "expired", "message": "Nobody answered in time.", "remedy": "Ask again in a new step."}
NOT_WRITTEN: Final = {
    "code": "outcome_unknown",
    "message": "It was carried out, and what came of it could not be written down.",
    "remedy": "Look at the other side, and decide whether it may be done again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How to carry an effect out."""

    driver: ConnectorDriver
    tool: Tool
    connected: Connected
    to: Reached
    mark: str
    """What the connection is known by as it is now."""

    @property
    def again(self) -> bool:
        """Whether an attempt that broke off may be repeated: the counterpart knows the key, or nothing is changed."""
        return self.driver.idempotent(self.connected.config) or self.tool.kind is EffectKind.READ


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What writing an intent down came to: a way to go and a usage row to close, or an outcome to tell."""

    outcome: Outcome
    way: Way | None = None
    usage: str = ""
    attempts: int = 0
    """How often it was begun, this time included."""
    doubtful: bool = False
    """Whether an attempt before this one may have changed something."""

    def came(self, state: EffectState, error: dict[str, str]) -> Outcome:
        """Return the outcome of what did not come to its end."""
        kind = self.way.tool.kind if self.way else ""
        return Outcome(state=state, hash=self.outcome.hash, error=error, kind=kind, attempts=self.attempts)


def opening_of(intent: Intent, kind: UsageKind, at: datetime) -> meter.Opening:
    """Return the usage row that is opened with an intent; what is asked counts as it is kept, not as it is sent."""
    whom = Whom(tenant=intent.tenant, agent=intent.agent, version=intent.version, run=intent.run)
    size = len(intent.arguments or b"")
    return meter.Opening(whom=whom, kind=kind, key=intent.key, provider=intent.connection, bytes_in=size, opened_at=at)


def told_of(standing: Standing | None, intent: Intent) -> Outcome:
    """Return what is told of an effect by what is stored of it."""
    outcome = (standing.outcome if standing else None) or {}
    state = standing.state if standing else EffectState.UNKNOWN
    if state is EffectState.OPEN and intent.connection != SANDBOX:
        state = EffectState.UNKNOWN  # nobody is at it any more, and what came of it could not be written down
    result, error = outcome.get("result"), outcome.get("error")
    kind, attempts = (standing.kind, standing.attempts) if standing else ("", 0)
    return Outcome(state=state, hash=intent.hash, result=result, error=error, fresh=False, kind=kind, attempts=attempts)


def problem_of(error: Exception) -> dict[str, str]:
    """Return what is told of an error; of a bug no more than that it is one."""
    if isinstance(error, FreeholdError):
        return {"code": error.code, "message": error.message, "remedy": error.remedy}
    return {"code": "bug", "message": "Carrying this out broke on our side.", "remedy": "See the gateway's log."}
