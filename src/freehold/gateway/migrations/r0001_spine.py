"""
The gateway's tables: keys, secrets, connections, grants, effects, usage, record, signed heads.

Undo: drop them all, which loses every secret. Cost: nothing, the store is empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# An audit row never changes, never goes and is never written over; REPLACE would delete without a delete trigger.
# The one change it sees is the sealer's: it gets its number and its place in the chain, once.
_KEPT = (
    "position", "tenant", "at", "actor", "action", "subject", "detail", "way", "run", "request", "verdict", "policy",
    "before", "after", "arguments", "approver", "result", "text",
)  # fmt: skip
_NEXT = "NEW.seq IS 1 + (SELECT coalesce(max(seq), 0) FROM audit WHERE tenant = NEW.tenant)"
_HASHES = " AND ".join(f"typeof(NEW.{name}) = 'text' AND length(NEW.{name}) = 64" for name in ("prev", "hash"))
_SEALED = " AND ".join(("OLD.seq IS NULL", _NEXT, _HASHES, *(f"NEW.{name} IS OLD.{name}" for name in _KEPT)))
_NUMBERED = "NEW.seq IS NOT NULL OR NEW.prev IS NOT NULL OR NEW.hash IS NOT NULL"
_THERE = "EXISTS (SELECT 1 FROM audit WHERE position = NEW.position)"
# What nobody can hash would hold up every row behind it; and who writes it does not choose where it stands.
_TIME = "typeof(NEW.at) = 'integer' AND NEW.at BETWEEN 0 AND 9007199254740991"
_PLAIN = " AND ".join((_TIME, *(f"typeof(NEW.{name}) = 'text'" for name in _KEPT if name not in {"position", "at"})))
_LAST = (
    "(NEW.position = 1 OR EXISTS (SELECT 1 FROM audit WHERE position = NEW.position - 1))"
    " AND NOT EXISTS (SELECT 1 FROM audit WHERE position > NEW.position)"
)
_GUARDS = (
    ("audit", "audit_never_changes", "BEFORE UPDATE", f"NOT ({_SEALED})", "the audit record never changes"),
    ("audit", "audit_never_shrinks", "BEFORE DELETE", "TRUE", "the audit record never shrinks"),
    ("audit", "audit_is_never_replaced", "BEFORE INSERT", _THERE, "the audit record is never replaced"),
    ("audit", "audit_is_numbered_later", "BEFORE INSERT", _NUMBERED, "the audit record is numbered by its sealer"),
    ("audit", "audit_is_plain", "BEFORE INSERT", f"NOT ({_PLAIN})", "the audit record holds text"),
    ("audit", "audit_is_in_order", "AFTER INSERT", f"NOT ({_LAST})", "the audit record goes on at its end"),
    ("anchors", "anchors_never_change", "BEFORE UPDATE", "TRUE", "a signed head never changes"),
    ("anchors", "anchors_never_shrink", "BEFORE DELETE", "TRUE", "a signed head never goes"),
    (
        "anchors",
        "anchors_are_never_replaced",
        "BEFORE INSERT",
        "EXISTS (SELECT 1 FROM anchors WHERE tenant = NEW.tenant AND number = NEW.number)",
        "a signed head is never replaced",
    ),
)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "anchors",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number"),
    )
    op.create_table(
        "anchor_heads",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "store"),
    )
    op.create_table(
        "anchor_places",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number"),
    )
    op.create_table(
        "audit",
        sa.Column("position", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("approver", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("prev", sa.String(length=64), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("tenant", "seq", name="audit_one_place"),
    )
    unsealed = sa.text("seq IS NULL")
    op.create_index("audit_unsealed", "audit", ["position"], sqlite_where=unsealed, postgresql_where=unsealed)
    op.create_table(
        "connections",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "effects",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("arguments", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.LargeBinary(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("decision in ('approved', 'refused')", name="decision_known"),
        sa.CheckConstraint(
            "state in ('proposed', 'asked', 'open', 'done', 'failed', 'unknown', 'refused', 'expired')",
            name="state_known",
        ),
        sa.PrimaryKeyConstraint("tenant", "key"),
    )
    op.create_index("effects_by_state", "effects", ["state"], unique=False)
    op.create_table(
        "epochs",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "run"),
    )
    op.create_table(
        "key_pairs",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "purpose"),
    )
    op.create_table(
        "secrets",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name"),
    )
    op.create_table(
        "tenant_keys",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "switches",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("effects_paused_at", sa.BigInteger(), nullable=True),
        sa.Column("effects_paused_by", sa.Text(), nullable=False),
        sa.Column("held_at", sa.BigInteger(), nullable=True),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.Column("erased", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "usage",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("hold_nano", sa.BigInteger(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("sandbox", sa.Text(), nullable=False),
        sa.Column("wakes", sa.Integer(), nullable=False),
        sa.Column("awake_ms", sa.BigInteger(), nullable=False),
        sa.Column("memory_mb_ms", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind in ('model', 'sandbox', 'mail', 'webhook')", name="kind_known"),
        sa.CheckConstraint("state in ('open', 'closed', 'unsettled')", name="state_known"),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("usage_by_run", "usage", ["tenant", "run"], unique=False)
    op.create_index("usage_by_state", "usage", ["state"], unique=False)
    op.create_table(
        "versions",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("tools", sa.Text(), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "version"),
    )

    if op.get_bind().dialect.name == "sqlite":
        for name, trigger, act, when, why in _GUARDS:
            op.execute(f"CREATE TRIGGER {trigger} {act} ON {name} WHEN {when} BEGIN SELECT RAISE(ABORT, '{why}'); END")


def downgrade() -> None:
    """Drop the tables."""
    for name in (
        "anchor_heads", "anchor_places", "anchors", "audit", "connections", "effects", "epochs", "key_pairs", "secrets",
        "switches", "tenant_keys", "usage", "versions",
    ):  # fmt: skip
        op.drop_table(name)
