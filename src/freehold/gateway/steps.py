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
    kind: str = ""
    mark: str | None = None
    """What its connection was known by when it was asked for; none for what was asked for before that was kept."""
    attempts: int = 0
    again: bool = False
    decision: Decision | None = None
    decided_by: str = ""
    expires_at: datetime | None = None
    outcome: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What somebody who decides was shown; what is none was not shown."""

    hash: str
    kind: str | None = None
    attempts: int | None = None
    """How often it was begun; what was shown before the newest attempt is no leave for another."""


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
    if _broken_off(standing):
        # Only a counterpart that knows the key, or a person, makes another attempt safe.
        return Step.OPEN if standing.again or standing.decision is Decision.APPROVED else Step.TELL
    return Step.TELL


def decide(standing: Standing, shown: Shown, *, at: datetime, under_way: bool = False) -> None:
    """
    Raise `Conflict` unless a person to whom this was `shown` may now decide about it.

    What was asked about expires. What broke off does not: until somebody decided, nobody knows what came of it.
    An effect that is `under_way` has not broken off.
    """
    if standing.hash != shown.hash:
        raise Conflict(
            "What you decide about is not what stands there now.",
            code="stale_hash",
            remedy="Look at the approval again and decide with the hash it shows.",
        )
    asked = standing.state is EffectState.ASKED and not _late(standing, at)
    broken_off = _broken_off(standing) and not standing.again and not under_way
    if standing.decision is not None or not (asked or broken_off):
        raise Conflict(
            "This was decided or has expired already.", code="already_decided", remedy="There is nothing left to do."
        )
    if shown.kind not in {None, standing.kind} or shown.attempts not in {None, standing.attempts}:
        raise Conflict(
            "What was shown about this is not how it stands.",
            code="altered",
            remedy="Look again; if it is shown so still, cancel the run and tell the operator: a worker wrote what is not so.",
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
    return Step.EXPIRE if _late(standing, at) else Step.TELL


def _late(standing: Standing, at: datetime) -> bool:
    return standing.expires_at is not None and standing.expires_at <= at


def _broken_off(standing: Standing) -> bool:
    """Return whether nobody knows what came of it: so it was written down, or it is open and nobody is at it."""
    left = standing.state is EffectState.OPEN and standing.connection != SANDBOX
    return left or standing.state is EffectState.UNKNOWN
