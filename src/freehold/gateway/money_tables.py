"""The tables of the gateway's store about money: what was used, what may be used, and by which keys and levels."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Text
from sqlalchemy.schema import UniqueConstraint

from freehold.core.money import BudgetScope, Level, Period, UsageKind, UsageState
from freehold.gateway.declaring import declared
from freehold.store.schema import one_of
from freehold.store.types import Coded, Json, Moment

usage = declared(
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

budgets = declared(
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

accounts = declared(
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

budget_warnings = declared(
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

levels = declared(
    "levels",
    Column("level", Coded(Level), primary_key=True),
    Column("routes", Json, nullable=False),  # CONNECTION/MODEL, in the order they are tried
    Column("set_by", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
    one_of("level", Level),
    data_class="configuration",
    retention="tenant",
)

model_keys = declared(
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
