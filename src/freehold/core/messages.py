"""A message is something said; a conversation is a thread of them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class MessageState(StrEnum):
    """Where a message stands, as its sender may see it."""

    RECEIVED = "received"
    """Accepted; an earlier turn of the conversation goes first."""
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    ANSWERED = "answered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something said to an agent; its run carries the answer."""

    id: str
    conversation: str
    agent: str
    run: str
    text: str
    created_at: datetime
    sender: str = ""
    channel: str | None = None
    """The channel it came by and the answer goes to; none for the API."""
    attachments: tuple[dict[str, Any], ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A thread of messages with one agent; its turns run one at a time, in order."""

    id: str
    agent: str
    created_at: datetime
    channel: str | None = None
    thread: str | None = None
    """How the channel calls the thread; unique per channel."""
