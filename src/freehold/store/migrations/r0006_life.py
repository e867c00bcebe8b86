"""
The tables of a tenant's life: switches that were thrown, receipts of what was destroyed.

Undo: drop them. Cost: nothing, they begin empty.
"""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables."""
