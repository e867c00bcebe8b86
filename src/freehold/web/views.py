"""What the nouns look like on the wire: times in RFC 3339 with milliseconds, nothing secret, nothing inner."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema, model_validator

from freehold.audit.canonical import digest
from freehold.core.agents import Agent, Version
from freehold.core.approvals import Approval
from freehold.core.runs import Run
from freehold.core.tools import Pinned
from freehold.store.journal import Step

T = TypeVar("T")
DEEPEST = 64
"""How deep the lists and objects of a body lie in each other at most; more than that is written down nowhere."""


def moment(at: datetime) -> str:
    """Return `at` as it is written on the wire."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def told_moment(at: object) -> object:
    """Return a time as another process tells it, in milliseconds or as text, as it is written on the wire."""
    if isinstance(at, int):
        return moment(datetime.fromtimestamp(at / 1000, tz=UTC))
    return moment(datetime.fromisoformat(at)) if isinstance(at, str) else at


Moment = Annotated[
    AwareDatetime,
    PlainSerializer(moment, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]


def written(value: object) -> object:
    """Return `value` if it can be written down; JSON's escapes can spell half a character, which is no text."""
    if _nested(value, DEEPEST):
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a character") from error
    except TypeError:
        return value  # no JSON at all, which whoever looks at its fields will say better
    return value


def _nested(value: object, left: int) -> bool:
    """Return whether lists and objects lie in each other more than `left` deep."""
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not left or any(_nested(one, left - 1) for one in within)


class Asked(BaseModel):
    """A body that comes in: what it does not know it refuses, so that a misspelt name is noticed."""

    model_config = ConfigDict(extra="forbid")

    _written = model_validator(mode="before")(written)

    def plain(self) -> dict[str, Any]:
        """Return the body as JSON values, for its hash."""
        return self.model_dump(mode="json")


class Listed(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = None
    """The cursor of the next page; none when this was the last."""


class ErrorView(BaseModel):
    """What made something fail."""

    code: str
    message: str
    remedy: str = ""


class RunView(BaseModel):
    """A run."""

    id: str
    agent: str
    version: str
    state: str
    waits_for: str | None
    trigger: str
    attended: bool
    conversation: str | None
    message: str | None
    parent: str | None
    input: str
    output: str | None
    error: ErrorView | None
    segment: int
    epoch: int
    trace: str
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    deadline: Moment | None

    @classmethod
    def of(cls, run: Run) -> "RunView":
        """Show `run`."""
        error = None if run.error is None else ErrorView(**run.error)
        return cls.model_construct(**{name: getattr(run, name) for name in cls.model_fields} | {"error": error})


class StepView(BaseModel):
    """One recorded unit of a run."""

    key: str
    segment: int
    kind: str
    name: str
    result: dict[str, Any]
    started_at: Moment
    ended_at: Moment

    @classmethod
    def of(cls, step: Step) -> "StepView":
        """Show `step`."""
        return cls(**{name: getattr(step, name) for name in cls.model_fields})


class EventView(BaseModel):
    """One line of what happened."""

    seq: int
    at: Moment
    run: str
    type: str
    data: dict[str, Any]


class ApprovalView(BaseModel):
    """A question to a person."""

    id: str
    run: str
    agent: str
    connection: str
    operation: str
    arguments: dict[str, Any]
    hash: str
    state: str
    created_at: Moment
    expires_at: Moment
    decided_by: str | None
    decided_at: Moment | None
    reason: str
    """`outcome_unknown`: it may have happened already, and is done once more if that is approved; else a sentence."""
    kind: str
    """What it does to the world: read, own_write, message, spend, credential, permission, destroy, or empty."""
    attempts: int
    """How often it was begun before this was asked."""

    @classmethod
    def of(cls, approval: Approval) -> "ApprovalView":
        """
        Show `approval`, with the hash of just what is shown.

        A decision names that hash, and the gateway holds it against what it would carry out: so what somebody else
        who can write the database lays before a person cannot be approved as if it were what was asked.
        """
        asked = {name: getattr(approval, name) for name in ("connection", "operation", "arguments")}
        return cls(**{name: getattr(approval, name) for name in cls.model_fields} | {"hash": digest(asked)})


class PinnedView(BaseModel):
    """A tool as a version was granted it."""

    kind: str
    description: str
    hash: str

    @classmethod
    def of(cls, pinned: Pinned) -> "PinnedView":
        """Show `pinned`, without the schema of its arguments, which is for models."""
        return cls(kind=str(pinned.kind), description=pinned.description, hash=pinned.hash)


class VersionView(BaseModel):
    """An immutable configuration of an agent."""

    id: str
    agent: str
    number: int
    model: str
    instructions: str
    tools: dict[str, str]
    egress: list[str]
    """Hosts that programs in its sandboxes may go to."""
    pinned: dict[str, PinnedView]
    """What each tool of a connection was when it was granted."""
    share: int
    """How many of a hundred new conversations and runs start with it."""
    created_at: Moment

    @classmethod
    def of(cls, version: Version, agent: Agent) -> "VersionView":
        """Show `version` of `agent`."""
        spec = version.spec
        return cls(
            id=version.id,
            agent=version.agent,
            number=version.number,
            model=spec.model,
            instructions=spec.instructions,
            tools={name: str(verdict) for name, verdict in spec.tools.items()},
            egress=list(spec.egress),
            pinned={name: PinnedView.of(pinned) for name, pinned in spec.pinned.items()},
            share=agent.share_of(version.id),
            created_at=version.created_at,
        )


class TrialView(BaseModel):
    """A version that a share of new conversations and runs starts with, in per cent."""

    version: str
    number: int
    share: int


class AgentView(BaseModel):
    """An agent, with the configuration that new runs start with."""

    id: str
    name: str
    version: str
    number: int
    """The version's number."""
    trial: TrialView | None
    """What some of the new runs start with instead."""
    model: str
    instructions: str
    tools: dict[str, str]
    egress: list[str]
    pinned: dict[str, PinnedView]
    created_at: Moment

    @classmethod
    def of(cls, agent: Agent, version: Version, trial: Version | None) -> "AgentView":
        """Show `agent` as the `version` that is deployed makes it, and what is tried."""
        shown = VersionView.of(version, agent)
        tried = None if trial is None else TrialView(version=trial.id, number=trial.number, share=agent.share)
        return cls(
            id=agent.id,
            name=agent.name,
            version=agent.version,
            number=shown.number,
            trial=tried,
            model=shown.model,
            instructions=shown.instructions,
            tools=shown.tools,
            egress=shown.egress,
            pinned=shown.pinned,
            created_at=agent.created_at,
        )
