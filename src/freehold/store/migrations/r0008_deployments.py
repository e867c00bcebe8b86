"""
What new runs of an agent started with, one after the other, and a version that a share of them tries.

Undo: drop the table and the columns. Cost: one row for each version there is, some hundred thousand a second.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table; until now each version was deployed when it was made, so that is what it begins with."""
    op.create_table(
        "deployments",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("before", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "agent", "number"),
    )
    op.add_column("agents", sa.Column("deployment", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("agents", sa.Column("trial", sa.Text(), nullable=True))
    op.add_column("agents", sa.Column("share", sa.Integer(), nullable=False, server_default="0"))
    op.execute("""
        insert into deployments (tenant, agent, number, version, before, created_at)
        select made.tenant, made.agent, made.number, made.id, max(earlier.number), made.created_at
        from versions made left join versions earlier
            on earlier.tenant = made.tenant and earlier.agent = made.agent and earlier.number < made.number
        group by made.tenant, made.agent, made.number, made.id, made.created_at
    """)
    # Where an older version was made current again, nobody knows when: later than the newest one was made.
    op.execute("""
        insert into deployments (tenant, agent, number, version, before, created_at)
        select agents.tenant, agents.id, newest.number + 1, agents.version, newest.number, newest.created_at
        from agents join versions newest on newest.tenant = agents.tenant and newest.agent = agents.id
        where newest.id <> agents.version and newest.number = (
            select max(number) from versions made where made.tenant = agents.tenant and made.agent = agents.id
        )
    """)
    op.execute("""
        update agents set deployment = coalesce((
            select max(number) from deployments of_it where of_it.tenant = agents.tenant and of_it.agent = agents.id
        ), 1)
    """)


def downgrade() -> None:
    """Drop them again; what new runs start with stays."""
    op.drop_column("agents", "share")
    op.drop_column("agents", "trial")
    op.drop_column("agents", "deployment")
    op.drop_table("deployments")
