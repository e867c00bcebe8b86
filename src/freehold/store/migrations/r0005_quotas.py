"""
The tables of tiers and of what is counted against quotas.

Undo: drop them. Cost: nothing, they begin empty.
"""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
