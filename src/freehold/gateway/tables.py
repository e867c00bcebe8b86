"""
The tables of the gateway's own store, which no other process opens.

Each says whose its rows are (the column `tenant`; empty text there means the platform), what class of data they
hold and how long they are kept. What is sealed is bytes of the vault; nothing here can be read without its key.
"""

from enum import StrEnum
from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Text

from freehold.audit.recording import audit_table
from freehold.core.effects import EffectState
from freehold.gateway import connection_tables, declaring, money_tables
from freehold.gateway.declaring import declared
from freehold.store.schema import one_of
from freehold.store.types import Coded, Json, Moment

ELSEWHERE: Final = (connection_tables, money_tables)
"""What declares tables too: whoever asks for all of them here sees theirs."""

metadata: Final = declaring.metadata


class Decision(StrEnum):
    """What a person said about an effect."""

    APPROVED = "approved"
    REFUSED = "refused"


tenant_keys = declared(
    "tenant_keys",
    Column(
        "generation", Integer, primary_key=True, autoincrement=False
    ),  # the newest seals; an older one is on its way out
    Column("wrapped", LargeBinary, nullable=False),
    Column("made_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

key_pairs = declared(
    "key_pairs",
    Column("purpose", Text, primary_key=True),  # `texts`: opens personal text; `heads`: signs the record's ends
    Column("public", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("made_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

manifests = declared(
    "manifests",  # what lies in the vault for this tenant: put back an older row and it is not what stands here
    Column("number", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    data_class="configuration",
    retention="tenant",
)

secrets = declared(
    "secrets",
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

switches = declared(
    "switches",
    Column("effects_paused_at", Moment),
    Column("effects_paused_by", Text, nullable=False),
    Column("held_at", Moment),  # suspended or deleted since then, as web says it
    Column("erased_at", Moment),  # no key is made for it from then on
    Column("erased", Json, nullable=False),  # rows that were destroyed, by table
    data_class="operation",
    retention="forever",
)

versions = declared(
    "versions",
    Column("version", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("tools", Json, nullable=False),
    Column("pins", Json, nullable=False),  # the hash of each tool that a connection told of
    Column("egress", Json, nullable=False),  # hosts that programs may go to
    Column("published_by", Text, nullable=False),
    Column("published_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

epochs = declared(
    "epochs",
    Column("run", Text, primary_key=True),
    Column("epoch", Integer, nullable=False),
    data_class="operation",
    retention="run",
)

effects = declared(
    "effects",
    Column("key", Text, primary_key=True),
    Column("run", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("connection", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("kind", Text, nullable=False),  # what it does to the world; empty for what the sandbox or a model does
    Column("mark", Text),  # what its connection was known by when it was asked for; none: before that was kept
    Column("attempts", Integer, nullable=False),  # how often it was begun
    Column("arguments", LargeBinary),  # sealed; none for a model call, whose asker keeps the context
    Column("state", Coded(EffectState), nullable=False),
    Column("again", Boolean, nullable=False),  # whether an unknown outcome may be tried again without asking
    Column("outcome", LargeBinary),  # sealed
    Column("decision", Coded(Decision)),
    Column("decided_by", Text),
    Column("decided_at", Moment),
    Column("trace", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("closed_at", Moment),
    one_of("state", EffectState),
    one_of("decision", Decision),
    Index("effects_by_state", "state"),
    data_class="content",
    retention="days:7",  # the sealed columns; the rest stays with the run
)


audit = audit_table(metadata)

anchors = declared(
    "anchors",
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("line", Text, nullable=False),  # canonical JSON, signed
    data_class="evidence",
    retention="forever",
)

anchor_heads = declared(
    "anchor_heads",  # the newest end of each chain that was signed
    Column("store", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", Text, nullable=False),
    data_class="evidence",
    retention="forever",
)

anchor_places = declared(
    "anchor_places",  # which anchors were written to the second place
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("place", Text, nullable=False),
    Column("placed_at", Moment, nullable=False),
    data_class="operation",
    retention="forever",
)
