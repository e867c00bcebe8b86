"""
The tables of tiers and of what is counted against quotas, and an index of the children that are at work.

Undo: drop them. Cost: the tables begin empty; the index takes one look at every run.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_QUOTAS = (
    "quota in ('agents', 'stacks', 'members', 'channels', 'apps', 'executors', 'messages_per_day', 'storage_mb', "
    "'memory_mb', 'cpu', 'spend_usd')"
)


def upgrade() -> None:
    """Make the tables and the index."""
    op.create_table(
        "tiers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("limits", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tallies",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("quota", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(_QUOTAS, name="quota_known"),
        sa.PrimaryKeyConstraint("tenant", "quota"),
    )
    at_work = sa.text("parent IS NOT NULL AND ended_at IS NULL")
    op.create_index(
        "runs_children_at_work", "runs", ["tenant", "parent"], sqlite_where=at_work, postgresql_where=at_work
    )
