"""
The tables of the spine: tenants, agents, talk, runs, journal, outbox, audit.

Undo: drop them all, which loses everything. Cost: nothing, the database is empty.
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
)


def upgrade() -> None:  # noqa: PLR0915 - one statement a table
    """Make the tables."""
    op.create_table(
        "agents",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("tenant", "name"),
    )
    op.create_table(
        "approvals",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state in ('asked', 'approved', 'denied', 'expired')", name="state_known"),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("approvals_by_run", "approvals", ["tenant", "run"], unique=False)
    op.create_index("approvals_by_state", "approvals", ["state", "expires_at"], unique=False)
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
        "audit_texts",
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index(op.f("ix_audit_texts_tenant"), "audit_texts", ["tenant"], unique=False)
    op.create_table(
        "channels",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("tenant", "name"),
    )
    op.create_index("channels_by_id", "channels", ["id"], unique=True)
    op.create_table(
        "conversations",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("thread", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("tenant", "channel", "thread"),
    )
    op.create_table(
        "events",
        sa.Column("position", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("run", "seq"),
    )
    op.create_table(
        "idempotency",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("made", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "place", "key"),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("replaced_by", sa.Text(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index(op.f("ix_keys_tenant"), "keys", ["tenant"], unique=False)
    op.create_table(
        "messages",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("attachments", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("messages_by_conversation", "messages", ["tenant", "conversation"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state in ('pending', 'sent', 'failed')", name="state_known"),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("outbox_by_state", "outbox", ["state", "due_at"], unique=False)
    op.create_table(
        "parts",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("origins", sa.Text(), nullable=False),
        sa.Column("readers", sa.Text(), nullable=True),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint("role in ('instructions', 'user', 'assistant', 'call', 'result')", name="role_known"),
        sa.PrimaryKeyConstraint("tenant", "run", "n"),
    )
    op.create_index("parts_by_conversation", "parts", ["tenant", "conversation", "run", "n"], unique=False)
    op.create_table(
        "runs",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("call", sa.Text(), nullable=True),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("attended", sa.Boolean(), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("wake_at", sa.BigInteger(), nullable=True),
        sa.Column("deadline", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state in ('queued', 'running', 'waiting', 'paused', 'done', 'failed', 'cancelled')", name="state_known"
        ),
        sa.CheckConstraint(
            "trigger in ('message', 'api', 'schedule', 'listener', 'heartbeat', 'child', 'stack')", name="trigger_known"
        ),
        sa.CheckConstraint(
            "waits_for in ('person', 'child', 'time', 'pause', 'quota', 'outage')", name="waits_for_known"
        ),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("runs_by_conversation", "runs", ["tenant", "conversation", "state"], unique=False)
    op.create_index("runs_by_parent", "runs", ["tenant", "parent"], unique=False)
    op.create_index("runs_by_state", "runs", ["state", "wake_at"], unique=False)
    op.create_table(
        "signals",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "run", "id"),
    )
    op.create_table(
        "steps",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "run", "key"),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("tier_until", sa.BigInteger(), nullable=True),
        sa.Column("tier_source", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("purge_at", sa.BigInteger(), nullable=True),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.CheckConstraint("state in ('draft', 'active', 'suspended', 'deleted')", name="state_known"),
        sa.CheckConstraint("tier_source in ('operator', 'trial', 'billing')", name="tier_source_known"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("slug"),
        sa.UniqueConstraint("uid"),
    )
    op.create_index(op.f("ix_tenants_created_by"), "tenants", ["created_by"], unique=False)
    op.create_table(
        "versions",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("tenant", "agent", "number"),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for name, trigger, act, when, why in _GUARDS:
            op.execute(f"CREATE TRIGGER {trigger} {act} ON {name} WHEN {when} BEGIN SELECT RAISE(ABORT, '{why}'); END")


def downgrade() -> None:
    """Drop the tables."""
    for name in (
        "workers",
        "versions",
        "tenants",
        "steps",
        "signals",
        "runs",
        "parts",
        "outbox",
        "messages",
        "keys",
        "idempotency",
        "events",
        "conversations",
        "channels",
        "audit_texts",
        "audit",
        "approvals",
        "agents",
    ):
        op.drop_table(name)
