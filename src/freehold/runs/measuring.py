"""How long what took: the numbers of a run, from its events and steps."""

from datetime import datetime

from freehold.core.runs import Run
from freehold.store.queueing import QUEUED
from freehold.store.scope import Scope


def queued_at(scope: Scope, run: Run) -> datetime:
    """Return since when the run, which is queued, queues."""
    if not run.revision:
        return run.created_at  # nothing happened to it yet, so nothing need be looked up
    last = scope.events.newest(run.id, *QUEUED)
    return run.created_at if last is None else last["at"]
