"""
The tables of the other ways to sign in: passkeys, and what is under way.

Undo: drop them. Cost: nothing, they begin empty.
"""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables."""
