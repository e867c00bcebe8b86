"""How a stretch of a run ends: done, failed, or parked until something happens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from freehold.core.runs import WaitsFor


@dataclass(frozen=True, slots=True)
class Done:
    """The run is over and this is its answer."""

    output: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The run is over without an answer; `code` is for programs, the rest for a person."""

    code: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An effect that a person must allow first; it becomes an approval."""

    key: str
    call: str
    """The id the model gave its tool call."""
    connection: str
    operation: str
    arguments: dict[str, Any]
    hash: str
    reason: str = ""
    kind: str = ""
    """What the effect does to the world, as far as the gateway knows."""
    attempts: int = 0
    """How often it was begun before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A task for a run of its own, of the same agent and version, one level deeper."""

    call: str
    """The tool call that the child's answer belongs to."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """
    The run waits, and until then nothing of it exists but rows.

    It goes on when all its questions are decided and all its children are over; with `wake_at`, then at the latest.
    """

    waits_for: WaitsFor
    questions: tuple[Question, ...] = ()
    children: tuple[Child, ...] = ()
    wake_at: datetime | None = None
    reason: str = ""


Ending = Done | Fail | Park
