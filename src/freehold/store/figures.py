"""The rows from which the numbers of runs are made: when they moved, and how long their steps took."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, func, select, type_coerce

from freehold.core.runs import Run
from freehold.store.journal import step_table
from freehold.store.runs import event_table, run_table
from freehold.store.schema import fields

BATCH: Final = 500
MOVES: Final = "run."


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A run came into another state."""

    at: datetime
    type: str
    state: str
    """Where it stands now, as far as the event says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """Steps of one kind of a run: how many, and how long they took together."""

    kind: str
    steps: int
    ms: int


class Figures:
    """What one tenant's runs are measured by, or those of one agent."""

    def __init__(self, connection: Connection, tenant: str, *, agent: str | None = None) -> None:
        """Belong to `tenant`, within the transaction of `connection`; with `agent`, see those of no other one."""
        self._connection, self._tenant, self._agent = connection, tenant, agent

    def runs(self, *, since: datetime, until: datetime, agent: str | None, limit: int) -> list[Run]:
        """Return the runs that were made from `since` on and before `until`, the newest first, at most `limit`."""
        query = select(run_table).where(
            run_table.c.tenant == self._tenant, run_table.c.created_at >= since, run_table.c.created_at < until
        )
        for which in filter(None, (agent, self._agent)):
            query = query.where(run_table.c.agent == which)
        rows = self._connection.execute(query.order_by(run_table.c.id.desc()).limit(limit)).mappings()
        return [Run(**fields(row, "tenant")) for row in rows]

    def moves(self, runs: Sequence[str]) -> dict[str, list[Move]]:
        """Return by run how it moved, in order."""
        found: dict[str, list[Move]] = {}
        for batch in _batches(runs):
            query = (
                select(event_table.c.run, event_table.c.at, event_table.c.type, event_table.c.data)
                .where(
                    event_table.c.tenant == self._tenant,
                    event_table.c.run.in_(batch),
                    event_table.c.type.startswith(MOVES),
                )
                .order_by(event_table.c.run, event_table.c.seq)
            )
            for row in self._connection.execute(query):
                state = str(row.data.get("state", ""))
                found.setdefault(row.run, []).append(Move(at=row.at, type=row.type, state=state))
        return found

    def worked(self, runs: Sequence[str]) -> dict[str, list[Worked]]:
        """Return by run how long its steps took, by their kind."""
        found: dict[str, list[Worked]] = {}
        took: Any = type_coerce(step_table.c.ended_at, BigInteger) - type_coerce(step_table.c.started_at, BigInteger)
        for batch in _batches(runs):
            query = (
                select(step_table.c.run, step_table.c.kind, func.count().label("steps"), func.sum(took).label("ms"))
                .where(step_table.c.tenant == self._tenant, step_table.c.run.in_(batch))
                .group_by(step_table.c.run, step_table.c.kind)
            )
            for row in self._connection.execute(query):
                found.setdefault(row.run, []).append(Worked(kind=row.kind, steps=row.steps, ms=int(row.ms)))
        return found


def _batches(runs: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(runs)
    while batch := list(islice(rest, BATCH)):
        yield batch
