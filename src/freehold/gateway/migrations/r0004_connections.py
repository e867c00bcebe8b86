"""
What connections can do, where they may lead, who signed in to them, and what versions pin of all that.

Undo: drop it, and the new columns; usage of the new kinds has to go first. Cost: SQLite copies the table of usage once,
to let it know the new kinds.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_EFFECT_KINDS: Final = "kind in ('read', 'own_write', 'message', 'spend', 'credential', 'permission', 'destroy')"
_BEFORE: Final = "kind in ('model', 'sandbox', 'mail', 'webhook')"
_AFTER: Final = "kind in ('model', 'sandbox', 'mail', 'webhook', 'http', 'mcp', 'web', 'search', 'egress')"
_STATES: Final = "state in ('open', 'closed', 'unsettled')"


def upgrade() -> None:
    """Make the tables, add the columns, and let usage be of the new kinds."""
    op.add_column("effects", sa.Column("kind", sa.Text(), nullable=False, server_default=""))
    op.add_column("effects", sa.Column("mark", sa.Text(), nullable=True))
    op.add_column("effects", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    for name in ("pins", "egress"):
        empty = "{}" if name == "pins" else "[]"
        op.add_column("versions", sa.Column(name, sa.Text(), nullable=False, server_default=empty))
    _kinds(_AFTER)
    op.create_table(
        "tools",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("kind_by", sa.Text(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(_EFFECT_KINDS, name="kind_known"),
        sa.PrimaryKeyConstraint("tenant", "connection", "name"),
    )
    op.create_table(
        "destinations",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name"),
    )
    op.create_table(
        "tokens",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("refreshable", sa.Boolean(), nullable=False),
        sa.Column("connected_by", sa.Text(), nullable=False),
        sa.Column("connected_at", sa.BigInteger(), nullable=False),
        sa.Column("refreshed_at", sa.BigInteger(), nullable=True),
        sa.Column("warned_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state in ('connected', 'expired')", name="state_known"),
        sa.PrimaryKeyConstraint("tenant", "connection"),
    )
    op.create_table(
        "sign_ins",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )


def downgrade() -> None:
    """Drop it all again."""
    for table in ("sign_ins", "tokens", "destinations", "tools"):
        op.drop_table(table)
    _kinds(_BEFORE)
    for name in ("egress", "pins"):
        op.drop_column("versions", name)
    for name in ("attempts", "mark", "kind"):
        op.drop_column("effects", name)


def _kinds(known: str) -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint("kind_known", "usage", type_="check")
        op.create_check_constraint("kind_known", "usage", known)
        return
    with op.batch_alter_table(
        "usage", recreate="always"
    ) as usage:  # a copy knows the checks it is told of, and no other
        usage.create_check_constraint("kind_known", known)
        usage.create_check_constraint("state_known", _STATES)
