"""
What an effect does to the world and how often it was begun, told with each approval.

Undo: drop the columns. Cost: nothing, on SQLite and Postgres a column with a constant default is a note in the schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns; of what was asked before, nothing was begun, and nobody knows what it does."""
    op.add_column("approvals", sa.Column("kind", sa.Text(), nullable=False, server_default=""))
    op.add_column("approvals", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop them again."""
    op.drop_column("approvals", "attempts")
    op.drop_column("approvals", "kind")
