"""
Money: budgets, accounts, warnings, what levels mean, keys to models, and what a usage row tells further.

Undo: drop them, and the new columns. Cost: a column with a default in SQLite rewrites nothing; the index over usage
reads it once.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBERS = ("charge_nano", "tokens_cached", "tokens_written", "characters", "bytes_in", "bytes_out")
_SMALL = ("attempt", "status", "images", "seconds")
_TEXTS = ("api", "level", "model_key", "call")
_FLAGS = ("attended", "own")
_SCOPES = "scope in ('tier', 'credit', 'tenant', 'agent', 'key', 'run', 'level', 'unattended')"
_PERIODS = "period in ('day', 'month', 'ever')"
_LEVELS = "level in ('coordinator', 'executor', 'vision', 'embed', 'transcribe', 'speak')"


def upgrade() -> None:
    """Make the tables and add the columns."""
    for name in _NUMBERS:
        op.add_column("usage", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    for name in _SMALL:
        first = "1" if name == "attempt" else "0"
        op.add_column("usage", sa.Column(name, sa.Integer(), nullable=False, server_default=first))
    for name in _TEXTS:
        op.add_column("usage", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for name in _FLAGS:
        op.add_column("usage", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE usage SET charge_nano = cost_nano")
    op.create_index("usage_by_time", "usage", ["tenant", "opened_at"], unique=False)
    op.create_table(
        "budgets",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("limit_nano", sa.BigInteger(), nullable=False),
        sa.Column("extra_nano", sa.BigInteger(), nullable=False),
        sa.Column("extra_window", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(_SCOPES, name="scope_known"),
        sa.CheckConstraint(_PERIODS, name="period_known"),
        sa.PrimaryKeyConstraint("tenant", "scope", "subject", "period"),
    )
    op.create_table(
        "accounts",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("markup_ppm", sa.BigInteger(), nullable=False),
        sa.Column("credit_nano", sa.BigInteger(), nullable=True),
        sa.Column("credit_spent_nano", sa.BigInteger(), nullable=False),
        sa.Column("regions", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "budget_warnings",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("window", sa.Text(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("spent_nano", sa.BigInteger(), nullable=False),
        sa.Column("limit_nano", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(_SCOPES, name="scope_known"),
        sa.CheckConstraint(_PERIODS, name="period_known"),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("tenant", "scope", "subject", "period", "window", "percent", name="budget_warned_once"),
    )
    op.create_table(
        "levels",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("routes", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(_LEVELS, name="level_known"),
        sa.PrimaryKeyConstraint("tenant", "level"),
    )
    op.create_table(
        "model_keys",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("hash"),
    )


def downgrade() -> None:
    """Drop what was added."""
    for name in ("accounts", "budget_warnings", "budgets", "levels", "model_keys"):
        op.drop_table(name)
    op.drop_index("usage_by_time", "usage")
    for name in (*_NUMBERS, *_SMALL, *_TEXTS, *_FLAGS):
        op.drop_column("usage", name)
