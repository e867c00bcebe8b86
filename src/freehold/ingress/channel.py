"""What a channel is: it reads what comes in and spells what goes out. Sending is the gateway's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """Something said on a channel."""

    text: str
    thread: str | None = None
    """How the channel calls the conversation; none begins a new one."""
    sender: str = ""
    attachments: tuple[dict[str, Any], ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a message, to be told on the channel it came by."""

    message: str
    conversation: str
    thread: str | None
    run: str
    at: datetime
    text: str | None = None
    error: Mapping[str, str] | None = None
    """`{code, message, remedy}` where there is no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What the gateway is asked to do so that an answer arrives."""

    connection: str
    operation: str
    arguments: dict[str, Any]


class ChannelDriver(Protocol):
    """
    Speaks one kind of channel.

    Every method is a pure function of its arguments; `channel` is the row of the channel. What cannot be
    right raises `Invalid`. The suite in `freehold.testing.contract` is the other half of this definition.
    """

    name: str

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration a channel is made with, completed; raise `Invalid` if it could never work."""
        ...

    def connection(self, channel: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
        """Return kind, name and configuration of the gateway connection that answers leave by."""
        ...

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the id that the sender gave this delivery: the same id is the same message."""
        ...

    def read(self, payload: Any) -> Inbound | None:
        """Return what `payload` says, or None where it is nothing an agent is told."""
        ...

    def reply(self, channel: Mapping[str, Any], answer: Answer) -> Sending:
        """Return how `answer` is sent."""
        ...
