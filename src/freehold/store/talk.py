"""Conversations, messages, channels and context parts of one tenant: what was said."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, Index, Integer, Select, Text, UniqueConstraint, bindparam, func, select

from freehold.core.errors import Conflict, NotFound
from freehold.core.messages import Conversation, Message
from freehold.core.parts import Label, Origin, Part, Role
from freehold.store.schema import fields, one_of, table, tenant_column, values
from freehold.store.types import Coded, Json, Moment

conversation_table = table(
    "conversations",
    tenant_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("channel", Text),
    Column("thread", Text),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("tenant", "channel", "thread"),
    tenant="tenant",
    data_class="content",
    retention="tenant",
)

message_table = table(
    "messages",
    tenant_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("conversation", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("channel", Text),
    Column("attachments", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("messages_by_conversation", "tenant", "conversation"),
    tenant="tenant",
    data_class="content",
    retention="tenant",
)

channel_table = table(
    "channels",
    tenant_column(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("tenant", "name"),
    Index("channels_by_id", "id", unique=True),
    tenant="tenant",
    data_class="configuration",
    retention="tenant",
)

part_table = table(
    "parts",
    tenant_column(primary_key=True),
    Column("run", Text, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("segment", Integer, nullable=False),
    Column("conversation", Text),
    Column("role", Coded(Role), nullable=False),
    Column("content", Json, nullable=False),
    Column("origins", Json, nullable=False),
    Column("readers", Json),
    Column("hash", Text, nullable=False),
    one_of("role", Role),
    Index("parts_by_conversation", "tenant", "conversation", "run", "n"),
    tenant="tenant",
    data_class="content",
    retention="tenant",
)

# Spelt once: putting a statement together costs more than running it, and every turn passes here.
_OPEN: Final = conversation_table.insert()
_SAY: Final = message_table.insert()
_MESSAGE: Final = select(message_table).where(
    message_table.c.tenant == bindparam("of_tenant"), message_table.c.id == bindparam("of_id")
)
_OURS: Final = part_table.c.tenant == bindparam("of_tenant")
_OF_RUN: Final = (_OURS, part_table.c.run == bindparam("of_run"))
_HIGHEST: Final = select(func.max(part_table.c.n)).where(*_OF_RUN)
_APPEND: Final = (
    part_table.insert().values(n=func.coalesce(_HIGHEST.scalar_subquery(), 0) + 1).returning(part_table.c.n)
)
_IN_ORDER: Final = (part_table.c.run, part_table.c.n)
_PARTS: Final = select(part_table).where(*_OF_RUN).order_by(*_IN_ORDER)
_EARLIER: Final = (
    select(part_table).where(*_OF_RUN, part_table.c.segment < bindparam("before_segment")).order_by(*_IN_ORDER)
)
_TURNS: Final = (
    select(part_table)
    .where(
        _OURS,
        part_table.c.conversation == bindparam("of_conversation"),
        part_table.c.run < bindparam("before_run"),
    )
    .order_by(*_IN_ORDER)
)


class Talk:
    """What is said to and by the agents of one tenant."""

    def __init__(self, connection: Connection, tenant: str, *, agent: str | None = None) -> None:
        """Belong to `tenant`, within the transaction of `connection`; with `agent`, know what was said to no other."""
        self._connection, self._tenant, self._agent = connection, tenant, agent

    def open(self, conversation: Conversation) -> None:
        """Write down a new conversation."""
        self._connection.execute(_OPEN, values(conversation) | {"tenant": self._tenant})

    def conversation(self, conversation: str) -> Conversation:
        """Return the conversation; raise `NotFound` where there is none."""
        found = self._conversation(conversation_table.c.id == conversation)
        if found is None:
            raise NotFound("There is no such conversation.", remedy="Leave it out to begin a new one.")
        return found

    def conversation_on(self, channel: str, thread: str) -> Conversation | None:
        """Return the conversation that a channel knows as `thread`."""
        return self._conversation((conversation_table.c.channel == channel) & (conversation_table.c.thread == thread))

    def say(self, message: Message) -> None:
        """Write down a message."""
        self._connection.execute(_SAY, values(message) | {"tenant": self._tenant})

    def message(self, message: str) -> Message:
        """Return the message; raise `NotFound` where there is none."""
        which = {"of_tenant": self._tenant, "of_id": message}
        row = self._connection.execute(_MESSAGE, which).mappings().first()
        if row is None or self._agent not in {None, row["agent"]}:
            raise NotFound("There is no such message.")
        return _message(fields(row, "tenant"))

    def messages(self, conversation: str, *, after: str = "", limit: int = 100) -> list[Message]:
        """Return the messages of a conversation in order, those behind the id `after`."""
        query = select(message_table).where(
            message_table.c.tenant == self._tenant,
            message_table.c.conversation == conversation,
            message_table.c.id > after,
            *self._theirs(),
        )
        rows = self._connection.execute(query.order_by(message_table.c.id).limit(limit)).mappings()
        return [_message(fields(row, "tenant")) for row in rows]

    def messages_to(self, agent: str, *, before: str = "", limit: int = 100) -> list[Message]:
        """Return the messages to an agent, newest first: those older than the id `before`."""
        query = select(message_table).where(
            message_table.c.tenant == self._tenant, message_table.c.agent == agent, *self._theirs()
        )
        query = query.where(message_table.c.id < before) if before else query
        rows = self._connection.execute(query.order_by(message_table.c.id.desc()).limit(limit)).mappings()
        return [_message(fields(row, "tenant")) for row in rows]

    def _theirs(self) -> list[Any]:
        return [] if self._agent is None else [message_table.c.agent == self._agent]

    def _conversation(self, which: Any) -> Conversation | None:
        query = select(conversation_table).where(conversation_table.c.tenant == self._tenant, which)
        row = self._connection.execute(query).mappings().first()
        if row is None or self._agent not in {None, row["agent"]}:
            return None
        return Conversation(**fields(row, "tenant"))


class Channels:
    """The channels of one tenant: `{id, agent, kind, name, config, created_at}` each."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        """Belong to `tenant`, within the transaction of `connection`."""
        self._connection, self._tenant = connection, tenant

    def add(self, channel: dict[str, Any]) -> None:
        """Write down a new channel; a name that is taken is a `Conflict`."""
        if any(known["name"] == channel["name"] for known in self.all()):
            raise Conflict(f"There is a channel {channel['name']!r} already.", code="name_taken")
        self._connection.execute(channel_table.insert().values(channel | {"tenant": self._tenant}))

    def get(self, channel: str) -> dict[str, Any]:
        """Return the channel; raise `NotFound` where there is none."""
        for known in self.all():
            if channel in {known["id"], known["name"]}:
                return known
        raise NotFound("There is no such channel.")

    def all(self) -> list[dict[str, Any]]:
        """Return the tenant's channels by id."""
        query = select(channel_table).where(channel_table.c.tenant == self._tenant).order_by(channel_table.c.id)
        return [fields(row, "tenant") for row in self._connection.execute(query).mappings()]

    def remove(self, channel: str) -> None:
        """Remove the channel; one that is not there is removed."""
        which = (channel_table.c.tenant == self._tenant) & (channel_table.c.id == channel)
        self._connection.execute(channel_table.delete().where(which))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A part as it lies in the database: where it stands, and the hash of its content."""

    run: str
    n: int
    segment: int
    hash: str
    part: Part


class Parts:
    """The context parts of one tenant's runs."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        """Belong to `tenant`, within the transaction of `connection`."""
        self._connection, self._tenant = connection, tenant

    def append(self, run: str, part: Part, *, segment: int, conversation: str | None, digest: str) -> int:
        """Write down one more part of the run's context and return its number, from 1; `digest` is over its content."""
        row = {
            "tenant": self._tenant,
            "run": run,
            "segment": segment,
            "conversation": conversation,
            "role": part.role,
            "content": part.content,
            "origins": sorted(part.label.origins),
            "readers": None if part.label.readers is None else sorted(part.label.readers),
            "hash": digest,
        }
        which = {"of_tenant": self._tenant, "of_run": run}
        return int(self._connection.execute(_APPEND, row | which).scalar_one())

    def of_run(self, run: str, *, before_segment: int | None = None) -> list[Part]:
        """Return the run's parts in order; with `before_segment`, only those of earlier segments (input is 0)."""
        if before_segment is None:
            return self._parts(_PARTS, of_run=run)
        return self._parts(_EARLIER, of_run=run, before_segment=before_segment)

    def of_earlier_turns(self, conversation: str, run: str) -> list[Part]:
        """Return the parts of the conversation's runs before `run`, in order."""
        return self._parts(_TURNS, of_conversation=conversation, before_run=run)

    def kept(self, run: str, *, conversation: str | None = None) -> list[Kept]:
        """Return the run's parts as they are kept, in order, those of the conversation's earlier turns first."""
        earlier = [] if conversation is None else self._kept(_TURNS, of_conversation=conversation, before_run=run)
        return earlier + self._kept(_PARTS, of_run=run)

    def _parts(self, query: Select[Any], **which: Any) -> list[Part]:
        return [kept.part for kept in self._kept(query, **which)]

    def _kept(self, query: Select[Any], **which: Any) -> list[Kept]:
        rows = self._connection.execute(query, which | {"of_tenant": self._tenant}).mappings()
        return [
            Kept(
                run=row["run"],
                n=row["n"],
                segment=row["segment"],
                hash=row["hash"],
                part=Part(
                    role=row["role"],
                    content=row["content"],
                    label=Label(
                        origins=frozenset(Origin(origin) for origin in row["origins"]),
                        readers=None if row["readers"] is None else frozenset(row["readers"]),
                    ),
                ),
            )
            for row in rows
        ]


def _message(values: dict[str, Any]) -> Message:
    return Message(**values | {"attachments": tuple(values["attachments"])})
