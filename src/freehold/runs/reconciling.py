"""Reconciling: what the runs say should be queued, is; so the engine's own rows may be lost at any time."""

import logging
from collections.abc import Callable, Container, Iterable
from typing import Final, TypeVar

from freehold.core.clock import Clock
from freehold.core.errors import Conflict, FreeholdError, NotFound
from freehold.core.runs import Run, RunState
from freehold.runs.engine import Engine, Ticket
from freehold.runs.resuming import resume_if_free, submit_turn
from freehold.store.platform import Due
from freehold.store.scope import Scope, Store

T = TypeVar("T")
log = logging.getLogger(__name__)

EVERY: Final = 5.0
"""Seconds between two comparisons."""


def reconcile(store: Store, engine: Engine, *, under_way: Container[str], clock: Clock) -> int:
    """
    Queue what should be queued and is not, and resume parents whose children are over; return how many that were.

    `under_way` are the ids of the tickets that this worker is carrying out.
    """
    with store.read() as platform:
        wanted = [
            Ticket(tenant=run.tenant, run=run.id, segment=run.segment, slot=run.slot) for run in platform.unfinished()
        ]
        missing = engine.missing(platform.connection, [ticket for ticket in wanted if ticket.id not in under_way])
        parents = platform.waiting_for_nobody()

    def queue(ticket: Ticket) -> bool:
        with store.tenant(ticket.tenant).read() as scope:
            if not _its_turn(scope, scope.runs.get(ticket.run)):
                return False
        with store.tenant(ticket.tenant).write() as scope:
            return _queue(scope, engine, ticket, under_way)

    def wake(parent: Due) -> bool:
        with store.tenant(parent.tenant).write() as scope:
            found = scope.runs.get(parent.id)
            return resume_if_free(scope, engine, found, clock=clock, why="child") is not found

    return _each(missing, queue) + _each(parents, wake)


def _each(rows: Iterable[T], mend: Callable[[T], bool]) -> int:
    """Mend one after the other and return how many that were; one that breaks does not keep the others waiting."""
    mended = 0
    for row in rows:
        try:
            mended += mend(row)
        except (Conflict, NotFound):
            continue  # it has moved on
        except FreeholdError:
            raise  # the database is busy or full, for the others as well
        except Exception:
            log.exception("Mending %s broke.", row)
    return mended


def _queue(scope: Scope, engine: Engine, ticket: Ticket, under_way: Container[str]) -> bool:
    """Queue the segment again if it is still to be carried out, nobody does so, and it is its turn."""
    run = scope.runs.get(ticket.run)
    gone = bool(engine.missing(scope.connection, [ticket]))
    if not gone or ticket.id in under_way or run.segment != ticket.segment or not _its_turn(scope, run):
        return False
    engine.forget(scope.connection, [ticket])
    submit_turn(scope, engine, run)
    return True


def _its_turn(scope: Scope, run: Run) -> bool:
    if run.state is RunState.RUNNING:
        return True
    if run.state is not RunState.QUEUED:
        return False
    turn = None if run.conversation is None else scope.runs.turn_of(run.conversation)
    return turn is None or turn.id == run.id
