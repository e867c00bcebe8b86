"""
The tables of tiers and of what is counted against quotas.

Undo: drop them. Cost: nothing, they begin empty.
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
    """Make the tables."""
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
