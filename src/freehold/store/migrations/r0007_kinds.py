"""
What an effect does to the world, told with each approval.

Undo: drop the column. Cost: nothing, on SQLite and Postgres a column with a constant default is a note in the schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; of what was asked before, nobody knows."""
    op.add_column("approvals", sa.Column("kind", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop it again."""
    op.drop_column("approvals", "kind")
