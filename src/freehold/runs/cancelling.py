"""Cancelling a run: it is over at once, whatever its worker still does; the worker is told by a nudge."""

from collections.abc import Iterable

from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.runs import FINAL, Run, RunEvent
from freehold.runs.aftermath import end
from freehold.runs.engine import Engine
from freehold.store.scope import Scope


def cancel(scope: Scope, engine: Engine, *, run: str, by: str, clock: Clock) -> Run:
    """
    Cancel the run and its children, and return it as it now stands.

    Cancelling what is already over is not an error: the wish has come true.
    """
    found = scope.runs.get(run)
    if found.state in FINAL:
        return found
    now = clock.now()
    cancelled = found.after(RunEvent.CANCEL, at=now)
    end(scope, engine, cancelled, clock=clock)
    note(
        scope.connection,
        at=now,
        tenant=scope.tenant,
        actor=by,
        action="run.cancel",
        subject=run,
        detail={"state": found.state, "segment": found.segment},
        run=run,
    )
    return cancelled


def family(scope: Scope, runs: Iterable[str]) -> list[str]:
    """Return these runs and all they delegated, at any depth, each once."""
    found = dict.fromkeys(runs)
    ahead = list(found)
    while ahead:
        children = [child.id for child in scope.runs.children(ahead.pop()) if child.id not in found]
        found |= dict.fromkeys(children)
        ahead += children
    return list(found)
