"""
A context is a list of parts; each says who wrote it and who may read it.

Parts outlive any library that talks to models: this is the form in which conversations are kept.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What a part is to the model."""

    INSTRUCTIONS = "instructions"
    USER = "user"
    ASSISTANT = "assistant"
    CALL = "call"
    RESULT = "result"


class Origin(StrEnum):
    """Where the words of a part come from; everything but the first two is tainted."""

    OWNER = "owner"
    """Written by the tenant or the platform: instructions, settings."""
    MEMBER = "member"
    """Said by a person who is authenticated as a member."""
    CHANNEL = "channel"
    """Said by somebody on a channel."""
    MODEL = "model"
    SANDBOX = "sandbox"
    WEB = "web"
    CONNECTION = "connection"


TRUSTED = frozenset({Origin.OWNER, Origin.MEMBER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Provenance: the origins that went into something, and who may read all of it."""

    origins: frozenset[Origin]
    readers: frozenset[str] | None = None
    """Members and channels that may read it; None: every member of the tenant."""

    @property
    def tainted(self) -> bool:
        """Whether anything untrusted went in."""
        return not self.origins <= TRUSTED

    def join(self, other: "Label") -> "Label":
        """Return the label of something made from both: all origins, only the common readers."""
        if self.readers is None or other.readers is None:
            readers = other.readers if self.readers is None else self.readers
        else:
            readers = self.readers & other.readers
        return Label(origins=self.origins | other.origins, readers=readers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """
    One labelled piece of a context.

    `content` by role: instructions, user and assistant `{"text"}`; call `{"id", "name", "arguments"}`;
    result `{"id", "name", "value"}`.
    """

    role: Role
    content: dict[str, Any]
    label: Label
