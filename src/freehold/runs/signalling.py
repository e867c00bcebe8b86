"""Signals: something is said to a run that is under way, and wakes it if it waits for nothing else."""

from typing import Any, Final

from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.errors import BadTransition, Invalid
from freehold.core.runs import FINAL, Run
from freehold.runs.engine import Engine
from freehold.runs.resuming import resume_if_free, signalled
from freehold.store.scope import Scope

OURS: Final = "child."
"""Names that begin so are said by the platform alone, under the id of the child."""


def signal(
    scope: Scope,
    engine: Engine,
    *,
    run: str,
    signal: str,
    name: str,
    payload: dict[str, Any],
    by: str,
    clock: Clock,
) -> Run:
    """
    Write the signal down for the run and return the run as it now stands.

    `signal` is its id: the same one again changes nothing. A run that waits goes on, unless it still has an
    open question or a child under way. Raises `BadTransition` for a run that is over, and `Invalid` (`reserved`)
    for a signal that could pass for a child's end.
    """
    found = scope.runs.get(run)
    if name.startswith(OURS) or signal.startswith("run_"):
        raise Invalid(
            f"The platform alone says {OURS}… to a run, and gives such a signal the id of a run.",
            code="reserved",
            remedy="Choose another name or another id for the signal.",
        )
    known = any(known["id"] == signal for known in scope.signals.of(run))
    if known:
        return found
    if found.state in FINAL:
        raise BadTransition("run", found.state, "be signalled")
    signalled(scope, found, signal=signal, name=name, payload=payload, clock=clock)
    note(
        scope.connection,
        at=clock.now(),
        tenant=scope.tenant,
        actor=by,
        action="run.signal",
        subject=run,
        detail={"id": signal, "name": name},
        run=run,
    )
    return resume_if_free(scope, engine, found, clock=clock, why="signal")
