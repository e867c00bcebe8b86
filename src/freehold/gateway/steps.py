"""What a request for an effect leads to, given what is stored under its key: decided here, done elsewhere."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from freehold.core.effects import EFFECT_TRANSITIONS, SANDBOX, EffectState, Verdict
from freehold.core.errors import BadTransition, Conflict
from freehold.gateway.tables import Decision


class Step(StrEnum):
    """What to do about a request."""

    OPEN = "open"
    """Write it down as open and carry it out (or, for the sandbox, let the worker)."""
    ASK = "ask"
    REFUSE = "refuse"
    EXPIRE = "expire"
    TELL = "tell"
    """Tell what is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An effect as it is stored."""

    hash: str
    state: EffectState
    connection: str
    again: bool = False
    decision: Decision | None = None
    decided_by: str = ""
    expires_at: datetime | None = None
    outcome: dict[str, Any] | None = None


def next_step(standing: Standing | None, *, verdict: Verdict, hash: str, at: datetime) -> Step:  # noqa: A002 - the noun's own word
    """
    Return what to do about a request with `hash`; the `verdict` counts only for the first.

    Raises `Conflict` (`key_reused`) where other bytes were asked for under the same key.
    """
    if standing is None:
        return {Verdict.ALLOW: Step.OPEN, Verdict.ASK: Step.ASK, Verdict.DENY: Step.REFUSE}[verdict]
    if standing.hash != hash:
        raise Conflict(
            "Something else was asked for under this key before.",
            code="key_reused",
            remedy="A key belongs to one effect for ever; use a fresh one.",
        )
    if standing.state is EffectState.ASKED:
        return _asked(standing, at)
    if standing.state is EffectState.UNKNOWN or (standing.state is EffectState.OPEN and standing.connection != SANDBOX):
        # Open and nobody at it: the attempt broke off. Only who knows the key, or a person, makes another one safe.
        return Step.OPEN if standing.again or standing.decision is Decision.APPROVED else Step.TELL
    return Step.TELL


def decide(standing: Standing, *, hash: str, at: datetime) -> None:  # noqa: A002
    """Raise `Conflict` unless a person may now decide about this effect, having seen `hash`."""
    if standing.hash != hash:
        raise Conflict(
            "What you decide about is not what stands there now.",
            code="stale_hash",
            remedy="Look at the approval again and decide with the hash it shows.",
        )
    late = standing.expires_at is not None and standing.expires_at <= at
    waits = standing.state is EffectState.ASKED or (standing.state is EffectState.UNKNOWN and not standing.again)
    if standing.decision is not None or late or not waits:
        raise Conflict(
            "This was decided or has expired already.", code="already_decided", remedy="There is nothing left to do."
        )


def settled(standing: Standing, state: EffectState) -> bool:
    """Return whether an effect of the worker's can now become `state`; false if it is that already."""
    if standing.state is state:
        return False
    if state not in EFFECT_TRANSITIONS.get(standing.state, frozenset()) or state is EffectState.OPEN:
        raise BadTransition("effect", standing.state, f"become {state}")
    return True


def _asked(standing: Standing, at: datetime) -> Step:
    if standing.decision is Decision.APPROVED:
        return Step.OPEN
    return Step.EXPIRE if standing.expires_at is not None and standing.expires_at <= at else Step.TELL
