"""What two versions differ in, as it is shown on the wire."""

from pydantic import BaseModel, Field

from freehold.agents.comparing import Difference, Reworded, compare
from freehold.core.agents import Version
from freehold.core.tools import Pinned
from freehold.web.views import PinnedView


class ModelChange(BaseModel):
    """Another model."""

    before: str
    after: str


class ToolChange(BaseModel):
    """A tool that may do something else: allow, ask, deny, or none where it is not granted."""

    tool: str
    before: str | None
    after: str | None


class PinChange(BaseModel):
    """A tool of a connection that is another than it was; none where a version pins no such tool."""

    tool: str
    before: PinnedView | None
    after: PinnedView | None
    words: list[str]
    """The lines of a unified diff of its description and the schema of its arguments."""

    @classmethod
    def of(cls, one: Reworded) -> "PinChange":
        """Show `one`."""
        return cls(tool=one.tool, before=_pinned(one.before), after=_pinned(one.after), words=list(one.words))


class EgressChange(BaseModel):
    """Hosts that programs in its sandboxes may go to since, or not any more."""

    added: list[str]
    removed: list[str]


class DifferenceView(BaseModel):
    """What differs between two versions of an agent."""

    before: str = Field(alias="from")
    number_before: int = Field(alias="from_number")
    after: str = Field(alias="to")
    number_after: int = Field(alias="to_number")
    same: bool
    model: ModelChange | None
    """None where both have the same."""
    instructions: list[str]
    """The lines of a unified diff; none where both say the same."""
    tools: list[ToolChange]
    pinned: list[PinChange]
    egress: EgressChange

    @classmethod
    def of(cls, before: Version, after: Version) -> "DifferenceView":
        """Show what is other in `after` than it was in `before`."""
        found = compare(before.spec, after.spec)
        return cls.model_validate(
            {
                "from": before.id,
                "from_number": before.number,
                "to": after.id,
                "to_number": after.number,
                "same": not found,
                "model": _model(found),
                "instructions": list(found.instructions),
                "tools": [ToolChange(tool=one.tool, before=one.before, after=one.after) for one in found.tools],
                "pinned": [PinChange.of(one) for one in found.pinned],
                "egress": EgressChange(added=list(found.egress_added), removed=list(found.egress_removed)),
            }
        )


def _model(found: Difference) -> ModelChange | None:
    return None if found.model is None else ModelChange(before=found.model[0], after=found.model[1])


def _pinned(pinned: Pinned | None) -> PinnedView | None:
    return None if pinned is None else PinnedView.of(pinned)
