"""
Data keys get generations, sealed values say theirs, and each tenant gets a list of what lies in its vault.

The lists are sealed, so the gateway makes them when it starts. Undo: take the generation away again, which works
while no key was rotated. Cost: every sealed value is written once; of effects those of the last days have one.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SEALED = (("secrets", "sealed"), ("key_pairs", "sealed"), ("effects", "arguments"), ("effects", "outcome"))


def upgrade() -> None:
    """Give keys their number, put it in front of what is sealed, and make room for the lists."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    put = "CAST(x'00000001' || {0} AS BLOB)" if sqlite else "'\\x00000001'::bytea || {0}"
    for table, column in _SEALED:
        op.execute(f"UPDATE {table} SET {column} = {put.format(column)} WHERE {column} IS NOT NULL")  # noqa: S608
    _keys("generation", "wrapped", "made_at", of="1, wrapped, made_at")
    op.create_table(
        "manifests",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )


def downgrade() -> None:
    """Take the numbers away again."""
    op.drop_table("manifests")
    _keys("wrapped", "made_at", of="wrapped, made_at")
    for table, column in _SEALED:
        op.execute(f"UPDATE {table} SET {column} = substr({column}, 5) WHERE {column} IS NOT NULL")  # noqa: S608


def _keys(*columns: str, of: str) -> None:
    made: dict[str, sa.Column[Any]] = {
        "generation": sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        "wrapped": sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        "made_at": sa.Column("made_at", sa.BigInteger(), nullable=False),
    }
    key = ("tenant", "generation") if "generation" in columns else ("tenant",)
    op.rename_table("tenant_keys", "tenant_keys_before")
    op.create_table(
        "tenant_keys",
        sa.Column("tenant", sa.Text(), nullable=False),
        *[made[column] for column in columns],
        sa.PrimaryKeyConstraint(*key),
    )
    stated = ", ".join(columns)
    op.execute(f"INSERT INTO tenant_keys (tenant, {stated}) SELECT tenant, {of} FROM tenant_keys_before")  # noqa: S608
    op.drop_table("tenant_keys_before")
