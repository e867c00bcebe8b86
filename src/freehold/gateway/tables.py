"""
The tables of the gateway's own store, which no other process opens.

Each says whose its rows are (the column `tenant`; empty text there means the platform), what class of data they
hold and how long they are kept. What is sealed is bytes of the vault; nothing here can be read without its key.
"""

from enum import StrEnum
from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.schema import SchemaItem, UniqueConstraint

from freehold.audit.recording import audit_table
from freehold.core.effects import EffectKind, EffectState
from freehold.core.money import BudgetScope, Level, Period, UsageKind, UsageState
from freehold.store.schema import DataClass, Retention, one_of, tenant_column
from freehold.store.types import Coded, Json, Moment

metadata: Final = MetaData()


class TokenState(StrEnum):
    """How somebody's consent to an account stands."""

    CONNECTED = "connected"
    EXPIRED = "expired"
    """It ran out, or the provider takes it back: a person has to sign in again."""


class Decision(StrEnum):
    """What a person said about an effect."""

    APPROVED = "approved"
    REFUSED = "refused"


def _table(name: str, *items: SchemaItem, data_class: DataClass, retention: Retention) -> Table:
    info = {"tenant": "tenant", "data_class": data_class, "retention": retention}
    return Table(name, metadata, tenant_column(primary_key=True), *items, info=info)


tenant_keys = _table(
    "tenant_keys",
    Column(
        "generation", Integer, primary_key=True, autoincrement=False
    ),  # the newest seals; an older one is on its way out
    Column("wrapped", LargeBinary, nullable=False),
    Column("made_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

key_pairs = _table(
    "key_pairs",
    Column("purpose", Text, primary_key=True),  # `texts`: opens personal text; `heads`: signs the record's ends
    Column("public", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("made_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

manifests = _table(
    "manifests",  # what lies in the vault for this tenant: put back an older row and it is not what stands here
    Column("number", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    data_class="configuration",
    retention="tenant",
)

secrets = _table(
    "secrets",
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

connections = _table(
    "connections",
    Column("name", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("secret", Text),
    Column("made_by", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

tools = _table(
    "tools",  # what connections can do besides what their kind can: as a server or a document told it last
    Column("connection", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("kind", Coded(EffectKind), nullable=False),
    Column("kind_by", Text, nullable=False),  # who said so; empty: what told of the tool
    Column("how", Json, nullable=False),  # the driver's own: how the tool is called
    Column("hash", Text, nullable=False),
    Column("seen_at", Moment, nullable=False),
    one_of("kind", EffectKind),
    data_class="configuration",
    retention="tenant",
)

destinations = _table(
    "destinations",  # places in private networks that an operator opened
    Column("name", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),  # 0: every one
    Column("set_by", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

tokens = _table(
    "tokens",  # accounts that somebody signed in to; the tokens themselves lie in the vault
    Column("connection", Text, primary_key=True),
    Column("state", Coded(TokenState), nullable=False),
    Column("scopes", Json, nullable=False),
    Column("account", Text, nullable=False),  # as the provider calls it, where it says so
    Column("expires_at", Moment),
    Column("refreshable", Boolean, nullable=False),
    Column("connected_by", Text, nullable=False),
    Column("connected_at", Moment, nullable=False),
    Column("refreshed_at", Moment),
    Column("warned_at", Moment),
    one_of("state", TokenState),
    data_class="configuration",
    retention="tenant",
)

SIGN_IN: Final = "sign in"
"""What is sealed in `sign_ins` is sealed for this."""

sign_ins = _table(
    "sign_ins",  # to accounts, under way
    Column("id", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # what the provider was told and must come back with
    Column("started_by", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("outcome", Text, nullable=False),  # empty: open
    data_class="operation",
    retention="days:7",
)

switches = _table(
    "switches",
    Column("effects_paused_at", Moment),
    Column("effects_paused_by", Text, nullable=False),
    Column("held_at", Moment),  # suspended or deleted since then, as web says it
    Column("erased_at", Moment),  # no key is made for it from then on
    Column("erased", Json, nullable=False),  # rows that were destroyed, by table
    data_class="operation",
    retention="forever",
)

versions = _table(
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

epochs = _table(
    "epochs",
    Column("run", Text, primary_key=True),
    Column("epoch", Integer, nullable=False),
    data_class="operation",
    retention="run",
)

effects = _table(
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

usage = _table(
    "usage",
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Coded(UsageKind), nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("state", Coded(UsageState), nullable=False),
    Column("tokens_in", BigInteger, nullable=False, default=0),
    Column("tokens_out", BigInteger, nullable=False, default=0),
    Column("estimated", Boolean, nullable=False, default=False),
    Column("hold_nano", BigInteger, nullable=False, default=0),
    Column("cost_nano", BigInteger, nullable=False, default=0),  # what the provider takes
    Column("charge_nano", BigInteger, nullable=False, default=0),  # what the tenant is charged; budgets count it
    Column("price", Text, nullable=False, default=""),  # which list, its version and which line of it
    Column("api", Text, nullable=False, default=""),
    Column("level", Text, nullable=False, default=""),
    Column("model_key", Text, nullable=False, default=""),
    Column("attended", Boolean, nullable=False, default=False),
    Column("own", Boolean, nullable=False, default=False),  # by the tenant's own account, not the platform's
    Column("attempt", Integer, nullable=False, default=1),
    Column("call", Text, nullable=False, default=""),  # the first attempt's id, in all attempts of one call
    Column("status", Integer, nullable=False, default=0),  # as the provider answered; 0 where it did not
    Column("tokens_cached", BigInteger, nullable=False, default=0),
    Column("tokens_written", BigInteger, nullable=False, default=0),
    Column("images", Integer, nullable=False, default=0),
    Column("seconds", Integer, nullable=False, default=0),
    Column("characters", BigInteger, nullable=False, default=0),
    Column("bytes_in", BigInteger, nullable=False, default=0),  # of the request
    Column("bytes_out", BigInteger, nullable=False, default=0),  # of the answer
    Column("sandbox", Text, nullable=False, default=""),
    Column("wakes", Integer, nullable=False, default=0),
    Column("awake_ms", BigInteger, nullable=False, default=0),
    Column("memory_mb_ms", BigInteger, nullable=False, default=0),
    Column("opened_at", Moment, nullable=False),
    Column("closed_at", Moment),
    one_of("kind", UsageKind),
    one_of("state", UsageState),
    Index("usage_by_run", "tenant", "run"),
    Index("usage_by_state", "state"),
    Index("usage_by_time", "tenant", "opened_at"),
    data_class="evidence",
    retention="tenant",
)

budgets = _table(
    "budgets",
    Column("scope", Coded(BudgetScope), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("period", Coded(Period), primary_key=True),
    Column("limit_nano", BigInteger, nullable=False),
    Column("extra_nano", BigInteger, nullable=False),  # granted on top, in one window only
    Column("extra_window", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
    one_of("scope", BudgetScope),
    one_of("period", Period),
    data_class="configuration",
    retention="tenant",
)

accounts = _table(
    "accounts",
    Column("markup_ppm", BigInteger, nullable=False),  # on what the platform's connections cost, in millionths
    Column("credit_nano", BigInteger),  # paid in advance, all of it; none: not prepaid
    Column("credit_spent_nano", BigInteger, nullable=False),  # of it, since the tenant is prepaid
    Column("regions", Json, nullable=False),  # where models may be; none: anywhere
    Column("changed_by", Text, nullable=False),
    Column("changed_at", Moment, nullable=False),
    data_class="configuration",
    retention="tenant",
)

budget_warnings = _table(
    "budget_warnings",
    Column("id", Text, primary_key=True),
    Column("scope", Coded(BudgetScope), nullable=False),
    Column("subject", Text, nullable=False),
    Column("period", Coded(Period), nullable=False),
    Column("window", Text, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("spent_nano", BigInteger, nullable=False),
    Column("limit_nano", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("tenant", "scope", "subject", "period", "window", "percent", name="budget_warned_once"),
    one_of("scope", BudgetScope),
    one_of("period", Period),
    data_class="operation",
    retention="days:30",
)

levels = _table(
    "levels",
    Column("level", Coded(Level), primary_key=True),
    Column("routes", Json, nullable=False),  # CONNECTION/MODEL, in the order they are tried
    Column("set_by", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
    one_of("level", Level),
    data_class="configuration",
    retention="tenant",
)

model_keys = _table(
    "model_keys",
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),  # SHA-256 of the key; it is random, so that is enough
    Column("agent", Text, nullable=False),  # whose calls they count as; empty: nobody's
    Column("models", Json, nullable=False),  # levels and CONNECTION/MODEL it may name; none: any of the tenant's
    Column("made_by", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("last_used_at", Moment),
    data_class="configuration",
    retention="tenant",
)

audit = audit_table(metadata)

anchors = _table(
    "anchors",
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("line", Text, nullable=False),  # canonical JSON, signed
    data_class="evidence",
    retention="forever",
)

anchor_heads = _table(
    "anchor_heads",  # the newest end of each chain that was signed
    Column("store", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", Text, nullable=False),
    data_class="evidence",
    retention="forever",
)

anchor_places = _table(
    "anchor_places",  # which anchors were written to the second place
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("place", Text, nullable=False),
    Column("placed_at", Moment, nullable=False),
    data_class="operation",
    retention="forever",
)
