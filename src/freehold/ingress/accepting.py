"""
Accepting: what was said becomes a message, a conversation, a run and its first part, in one transaction.

Whoever is told "accepted" was told after that transaction; whoever was not may send the same again under
the same key and gets the same message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from freehold.audit.canonical import canonical, digest
from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.errors import Invalid, NotFound
from freehold.core.ids import NewId
from freehold.core.messages import Conversation, Message
from freehold.core.parts import Label, Origin, Part, Role
from freehold.core.runs import Run, Trigger
from freehold.runs.engine import Engine
from freehold.runs.starting import start
from freehold.store.scope import Scope
from freehold.tenants.quotas import admit_message

TOO_LARGE = 413


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is taken in, and how runs are laid out; from the settings."""

    message_bytes: int
    slots: int
    run_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Something said to an agent, as it came in."""

    agent: str
    text: str
    by: str
    """Who brought it, as audit rows say it."""
    origin: Origin
    sender: str = ""
    attachments: tuple[dict[str, Any], ...] = field(default_factory=tuple)
    """As `attaching` keeps them."""
    conversation: str | None = None
    channel: str | None = None
    thread: str | None = None
    attended: bool = False
    trace: str = ""
    place: str = ""
    """Where it came in; with `key` it says which request this is."""
    key: str = ""
    """What its sender calls this delivery; empty: nothing will be recognised as a repeat."""

    def digest(self) -> str:
        """Return the hash by which a repeat is told from another request under the same key."""
        return digest([self.agent, self.text, self.sender, list(self.attachments), self.conversation, self.thread])


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A message that is written down, and the run that answers it."""

    message: Message
    run: Run
    fresh: bool
    """False where the same delivery was accepted before."""


def accept(scope: Scope, engine: Engine, arrival: Arrival, *, limits: Limits, ids: NewId, clock: Clock) -> Accepted:
    """
    Write down what arrived and start its run, all in the transaction of `scope`.

    Raises `Invalid` for a blank (`blank_message`) or an oversized (`too_large`, 413) message, `NotFound` for
    an agent or conversation that is not there, `Conflict` (`key_reused`) for another request under a used key,
    `Denied` (`quota_exceeded`, `tier_ended`) where the tenant may not say more today or keep more files.
    """
    check(arrival.text, arrival.attachments, limits)
    agent = scope.agents.find(arrival.agent)
    known = scope.idempotency.made(arrival.place, arrival.key, arrival.digest()) if arrival.key else None
    if known is not None:
        message = scope.talk.message(known)
        return Accepted(message=message, run=scope.runs.get(message.run), fresh=False)
    size = sum(int(attached["size"]) for attached in arrival.attachments)
    admit_message(scope.connection, scope.tenant, at=clock.now(), size=size)
    conversation = _conversation(scope, arrival, agent.id, ids=ids, clock=clock)
    message_id = ids("msg")
    run = start(
        scope,
        engine,
        ids=ids,
        clock=clock,
        agent=agent,
        trigger=Trigger.MESSAGE,
        input=_part(arrival),
        attended=arrival.attended,
        conversation=conversation,
        message=message_id,
        trace=arrival.trace,
        slots=limits.slots,
        run_hours=limits.run_hours,
    )
    message = Message(
        id=message_id,
        conversation=conversation,
        agent=agent.id,
        run=run.id,
        text=arrival.text,
        created_at=clock.now(),
        sender=arrival.sender,
        channel=arrival.channel,
        attachments=arrival.attachments,
    )
    scope.talk.say(message)
    _keep(scope, arrival, message)
    return Accepted(message=message, run=run, fresh=True)


def check(text: str, attachments: Sequence[Mapping[str, Any]], limits: Limits) -> None:
    """Raise `Invalid` for a message that says nothing (`blank_message`) or too much (`too_large`, 413)."""
    if not text.strip() and not attachments:
        raise Invalid("The message says nothing.", code="blank_message", remedy="Send some text.")
    size = len(canonical(list(attachments))) if attachments else 0
    if size + len(text.encode("utf-8", "replace")) > limits.message_bytes:
        raise Invalid(
            f"A message has at most {limits.message_bytes} bytes.",
            code="too_large",
            status=TOO_LARGE,
            remedy="Send less at once; an operator can raise FREEHOLD_MESSAGE_BYTES.",
        )


def _conversation(scope: Scope, arrival: Arrival, agent: str, *, ids: NewId, clock: Clock) -> str:
    """Return the conversation the message belongs to: the one it names, the channel's thread, or a new one."""
    if arrival.conversation is not None:
        named = scope.talk.conversation(arrival.conversation)
        if named.agent != agent:
            raise NotFound("There is no such conversation.", remedy="Leave it out to begin a new one.")
        return named.id
    if arrival.channel is not None and arrival.thread is not None:
        known = scope.talk.conversation_on(arrival.channel, arrival.thread) or _told_by_id(scope, arrival)
        if known is not None:
            return known.id
    fresh = Conversation(
        id=ids("cnv"), agent=agent, created_at=clock.now(), channel=arrival.channel, thread=arrival.thread
    )
    scope.talk.open(fresh)
    return fresh.id


def _told_by_id(scope: Scope, arrival: Arrival) -> Conversation | None:
    """Return the channel's conversation that the sender names by our id, as our answers do."""
    try:
        named = scope.talk.conversation(arrival.thread or "")
    except NotFound:
        return None
    return named if named.channel == arrival.channel else None


def _part(arrival: Arrival) -> Part:
    content: dict[str, Any] = {"text": arrival.text}
    if arrival.attachments:
        content["attachments"] = list(arrival.attachments)
    return Part(role=Role.USER, content=content, label=Label(origins=frozenset({arrival.origin})))


def _keep(scope: Scope, arrival: Arrival, message: Message) -> None:
    at = message.created_at
    if arrival.key:
        scope.idempotency.keep(arrival.place, arrival.key, arrival.digest(), message.id, at=at)
    note(
        scope.connection,
        at=at,
        tenant=scope.tenant,
        actor=arrival.by,
        action="message.accept",
        subject=message.id,
        detail={"agent": message.agent, "conversation": message.conversation},
        run=message.run,
    )
