"""
Where tools and context come from: registered lists, so that a new kind of either is a new file and no branch.

A tool's call ends in a tagged result, never in an exception for what can be expected:
`{"value"}`, `{"error"}`, `{"refused"}`, `{"interrupted"}`, `{"asked"}` (a person decides first) or `{"child"}`
(a child run answers).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from freehold.core.agents import Version
from freehold.core.approvals import OUTCOME_UNKNOWN
from freehold.core.effects import EffectState, Outcome, Verdict
from freehold.core.parts import Origin, Part
from freehold.runs.segment import Segment

Result = dict[str, Any]
"""A tagged result: a JSON object with one of the tags above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the model is told of it, and what the platform must know about it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments."""
    verdict: Verdict
    """As the version says; a tool that is denied is not offered."""
    origin: Origin
    """What its results are made of."""
    alone: bool = False
    """Whether calls of it run one after the other, in the order the model wrote them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call that a model proposed."""

    id: str
    name: str
    arguments: dict[str, Any] | str
    """As parsed; the raw text where the model wrote no JSON object."""
    key: str
    """The effect's key, fixed when the reply was recorded."""


class ToolSource(Protocol):
    """Gives an agent tools of one kind."""

    def tools(self, version: Version) -> Sequence[ToolSpec]:
        """Return the tools of this kind that `version` names."""
        ...

    async def call(self, segment: Segment, call: Call) -> Result:
        """Carry `call` out under its key; a repeat under the same key does nothing twice."""
        ...


class ContextSource(Protocol):
    """Gives a model something to read besides the conversation."""

    async def parts(self, segment: Segment) -> Sequence[Part]:
        """Return labelled parts; a segment that is repeated must be given the same ones."""
        ...


def failed(code: str, message: str, remedy: str = "") -> Result:
    """Return the result of a call that did not work."""
    return {"error": {"code": code, "message": message, "remedy": remedy}}


def refused(code: str, message: str, remedy: str = "") -> Result:
    """Return the result of a call that was not allowed."""
    return {"refused": {"code": code, "message": message, "remedy": remedy}}


def asked(outcome: Outcome, *, connection: str, operation: str, arguments: dict[str, Any]) -> Result:
    """Return the result of a call that a person has to approve, at first or once more, bound to its effect's bytes."""
    question: dict[str, Any] = {
        "connection": connection,
        "operation": operation,
        "arguments": arguments,
        "hash": outcome.hash,
    }
    question |= {"kind": outcome.kind} if outcome.kind else {}
    again = outcome.state is EffectState.UNKNOWN
    question |= {"reason": OUTCOME_UNKNOWN, "attempts": outcome.attempts} if again else {}
    return {"asked": question}
