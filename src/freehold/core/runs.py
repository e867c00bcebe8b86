"""A run: one durable execution, and the table of all it can go through."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from freehold.core.errors import BadTransition


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunEvent(StrEnum):
    """What can happen to a run."""

    START = "start"
    RESTART = "restart"
    PARK = "park"
    RESUME = "resume"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"


class WaitsFor(StrEnum):
    """What a parked run waits for."""

    PERSON = "person"
    CHILD = "child"
    TIME = "time"
    PAUSE = "pause"
    QUOTA = "quota"
    OUTAGE = "outage"


class Trigger(StrEnum):
    """What started a run."""

    MESSAGE = "message"
    API = "api"
    SCHEDULE = "schedule"
    LISTENER = "listener"
    HEARTBEAT = "heartbeat"
    CHILD = "child"
    STACK = "stack"


FINAL = frozenset({RunState.DONE, RunState.FAILED, RunState.CANCELLED})
"""States nothing leaves."""

TRANSITIONS = MappingProxyType(
    {
        (RunState.QUEUED, RunEvent.START): RunState.RUNNING,
        (RunState.QUEUED, RunEvent.PAUSE): RunState.PAUSED,
        (RunState.QUEUED, RunEvent.FAIL): RunState.FAILED,
        (RunState.QUEUED, RunEvent.CANCEL): RunState.CANCELLED,
        (RunState.RUNNING, RunEvent.RESTART): RunState.RUNNING,  # its worker died: the segment begins again
        (RunState.RUNNING, RunEvent.PARK): RunState.WAITING,
        (RunState.RUNNING, RunEvent.PAUSE): RunState.PAUSED,
        (RunState.RUNNING, RunEvent.FINISH): RunState.DONE,
        (RunState.RUNNING, RunEvent.FAIL): RunState.FAILED,
        (RunState.RUNNING, RunEvent.CANCEL): RunState.CANCELLED,
        (RunState.WAITING, RunEvent.RESUME): RunState.QUEUED,  # quota and fairness apply again
        (RunState.WAITING, RunEvent.PAUSE): RunState.PAUSED,
        (RunState.WAITING, RunEvent.FAIL): RunState.FAILED,
        (RunState.WAITING, RunEvent.CANCEL): RunState.CANCELLED,
        (RunState.PAUSED, RunEvent.UNPAUSE): RunState.QUEUED,  # it was queued or running: the same segment again
        (RunState.PAUSED, RunEvent.PARK): RunState.WAITING,  # it was waiting, and waits on
        (RunState.PAUSED, RunEvent.FAIL): RunState.FAILED,
        (RunState.PAUSED, RunEvent.CANCEL): RunState.CANCELLED,
    }
)
"""Every arrow there is. The picture in the reference is drawn from it; the database checks the states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One durable execution of a version of an agent."""

    id: str
    agent: str
    version: str
    """The immutable configuration the run started with and ends with."""
    trigger: Trigger
    created_at: datetime
    conversation: str | None = None
    message: str | None = None
    parent: str | None = None
    """The run that delegated this one."""
    call: str | None = None
    """The tool call of the parent that this run answers."""
    depth: int = 0
    """How many parents stand above this run."""
    attended: bool = False
    """Whether a person sits there and can be asked."""
    trace: str = ""
    """The W3C `traceparent` that steps, effects and audit rows carry on."""
    input: str = ""
    output: str | None = None
    error: dict[str, str] | None = None
    """`{code, message, remedy}` of what made it fail."""
    state: RunState = RunState.QUEUED
    waits_for: WaitsFor | None = None
    segment: int = 1
    """Which stretch between two waits it is in, from 1."""
    slot: int = 0
    """Which of its tenant's parallel slots it is dispatched in."""
    wake_at: datetime | None = None
    """When a run that waits for a time or an outage goes on by itself."""
    deadline: datetime | None = None
    revision: int = 0
    """How often the state changed; the store refuses a write whose count is stale."""
    epoch: int = 0
    """How often the ownership changed; the gateway refuses an effect of an older owner."""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def after(
        self, event: RunEvent, *, at: datetime, waits_for: WaitsFor | None = None, wake_at: datetime | None = None
    ) -> "Run":
        """
        Return this run as it stands once `event` has happened at `at`.

        A start or restart is a new owner and raises the epoch; a resume begins a new segment, the end of a pause
        does not. A run that is paused while it waits keeps what it waits for, and until when.
        Raises `BadTransition` where the table has no arrow.
        """
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            raise BadTransition("run", self.state, event)
        if event is RunEvent.PAUSE:
            waits_for, wake_at = self.waits_for or WaitsFor.PAUSE, self.wake_at
        elif self.state is RunState.PAUSED and event is RunEvent.PARK:
            waits_for, wake_at = self.waits_for, self.wake_at
        owns = event in {RunEvent.START, RunEvent.RESTART}
        return replace(
            self,
            state=state,
            revision=self.revision + 1,
            epoch=self.epoch + (1 if owns else 0),
            segment=self.segment + (1 if event is RunEvent.RESUME else 0),
            waits_for=waits_for,
            wake_at=wake_at,
            started_at=self.started_at or (at if owns else None),
            ended_at=at if state in FINAL else None,
        )
