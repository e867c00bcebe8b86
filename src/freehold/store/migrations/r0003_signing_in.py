"""
The tables of signing in: codes that were sent, and tries that were made.

Undo: drop them. Cost: nothing, they begin empty.
"""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
