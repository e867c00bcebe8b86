"""Clockwork: what the time of day does to runs. Due ones go on, overdue ones fail, old questions expire."""

import logging
from collections.abc import Callable
from typing import Final

from freehold.core.clock import Clock
from freehold.core.errors import Conflict, FreeholdError, NotFound
from freehold.core.runs import FINAL, RunState
from freehold.runs.deciding import expire
from freehold.runs.ending import fail
from freehold.runs.endings import Fail
from freehold.runs.engine import Engine
from freehold.runs.resuming import resume
from freehold.store.platform import Due
from freehold.store.scope import Scope, Store

log = logging.getLogger(__name__)

EVERY: Final = 1.0
"""Seconds between two rings."""
OVERDUE: Final = Fail(
    "deadline_passed",
    "The run was not over by its deadline.",
    "Start it again with more time; an operator can raise FREEHOLD_RUN_HOURS.",
)


def ring(store: Store, engine: Engine, *, clock: Clock) -> int:
    """Do what is due now, each in a transaction of its own, and return how much that was."""
    now = clock.now()
    with store.read() as platform:
        due, overdue = platform.due_runs(now), platform.overdue_runs(now)
        expired = platform.expired_approvals(now)

    def wake(scope: Scope, run: str) -> None:
        found = scope.runs.get(run)
        if found.state is RunState.WAITING and found.wake_at is not None and found.wake_at <= now:
            resume(scope, engine, found, clock=clock, why="time")

    def give_up(scope: Scope, run: str) -> None:
        found = scope.runs.get(run)
        if found.state not in FINAL:
            fail(scope, engine, found, OVERDUE, clock=clock, by="clock")

    def close(scope: Scope, approval: str) -> None:
        expire(scope, engine, approval=approval, clock=clock)

    return _each(store, overdue, give_up) + _each(store, due, wake) + _each(store, expired, close)


def rings_in(store: Store, *, clock: Clock) -> float | None:
    """Return in how many seconds the next thing becomes due by itself; None if nothing does."""
    with store.read() as platform:
        due = platform.next_due()
    return None if due is None else (due - clock.now()).total_seconds()


def _each(store: Store, rows: list[Due], act: Callable[[Scope, str], None]) -> int:
    done = 0
    for row in rows:
        try:
            with store.tenant(row.tenant).write() as scope:
                act(scope, row.id)
            done += 1
        except (Conflict, NotFound):
            continue  # somebody was faster
        except FreeholdError as error:
            log.warning("%s is due and has to wait: %s", row.id, error.message)
        except Exception:  # the others are due all the same
            log.exception("%s is due, and what should happen to it broke.", row.id)
    return done
