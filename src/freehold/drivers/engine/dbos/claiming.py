"""
Claiming: which queued segments begin now, in one statement.

DBOS puts its sweep over the partitions together anew for every poll, which costs more than all else that a turn
asks of the database, and holds the write lock meanwhile. On SQLite the same choice is made here: in each partition
where nothing is under way, the head of its queue. Elsewhere DBOS chooses itself.
"""

from typing import Any, Final

import sqlalchemy as sa
from dbos import DBOS

from freehold.core.clock import Clock
from freehold.store.db import Database

MOST: Final = 500
"""How many are claimed at once."""
# The indexes are partial, and SQLite sees that they apply only where their own words are repeated.
_INDEXED: Final = "status in ('ENQUEUED', 'PENDING') and queue_partition_key is not null and queue_name = :queue"
_WAITS: Final = f"{_INDEXED} and status = 'ENQUEUED'"
_ANY: Final = sa.text(f"select 1 from workflow_status where {_WAITS} limit 1")  # noqa: S608 - the words are ours
# The walk from partition to partition costs by how many there are, however long their queues are.
_CLAIM: Final = sa.text(
    f"""
    with recursive partitions (part) as (
        select min(queue_partition_key) from workflow_status where {_WAITS}
        union all
        select (select min(queue_partition_key) from workflow_status where {_WAITS} and queue_partition_key > part)
        from partitions where part is not null
    ), heads (id) as (
        select (
            select workflow_uuid from workflow_status
            where {_WAITS} and queue_partition_key = part and application_version = :version
            order by priority, created_at, workflow_uuid limit 1
        )
        from partitions where part is not null and not exists (
            select 1 from workflow_status
            where {_INDEXED} and status = 'PENDING' and queue_partition_key = part
        )
        order by random() limit :most
    )
    update workflow_status
    set status = 'PENDING', owner_xid = :owner, executor_id = :executor, recovery_attempts = recovery_attempts + 1,
        started_at_epoch_ms = :now, updated_at = :now
    where workflow_uuid in (select id from heads)
    returning workflow_uuid
    """  # noqa: S608
)


def claim_quickly(dbos: DBOS, database: Database, clock: Clock) -> None:
    """Let `dbos` claim what is queued in `database` by our statement, where that speaks SQLite."""
    if database.engine.dialect.name != "sqlite":
        return

    def claimed(  # what it takes the place of is called like this
        queue: Any,
        executor_id: str,
        app_version: str,
        max_tasks: int,
        *,
        owner_xid: str,
        is_latest_version: bool | None,
    ) -> list[str]:
        with database.read() as connection:
            if connection.execute(_ANY, {"queue": queue.name}).first() is None:
                return []
        which = {"queue": queue.name, "version": app_version, "most": min(max_tasks, MOST)}
        marks = {"owner": owner_xid, "executor": executor_id, "now": round(clock.now().timestamp() * 1000)}
        with database.write() as connection:
            # Ids sort by the time their runs were made: whoever waits longest begins first.
            return sorted(connection.execute(_CLAIM, which | marks).scalars())

    setattr(dbos._sys_db, "start_queued_partitioned_workflows", claimed)  # noqa: B010, SLF001 - no name of its class
