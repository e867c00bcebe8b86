"""Kicking an engine: its queue is looked at when we say so, and otherwise as often as we want; the rest is still."""

import threading
from collections.abc import Iterable
from typing import Final

from dbos import DBOS
from dbos._sys_db_sqlite import SQLiteSystemDatabase

from freehold.store.looking import Look

OTHERS_SECONDS: Final = 30.0
"""For which threads pause at least that look after other queues, which we have none of."""


def kickable(events: Iterable[threading.Event], kick: threading.Event, *, thread: str, poll: float, look: Look) -> None:
    """
    Let `kick` end the pause of the `thread` that polls our queue.

    DBOS polls by waiting on the event (of `events`) that also stops it. We replace that wait, for this one thread,
    by a wait on our event, which is set by kicks and by stopping. Every `poll` seconds it asks `look` whether there
    may be something: where databases contend DBOS would wait for up to two minutes, and where nothing happens it
    would ask its tables all the same. Without this, everything works at the speed of polling.
    """
    for event in events:
        _patch(event, kick, thread=thread, poll=poll, look=look)


def still(dbos: DBOS) -> None:
    """
    Let threads of DBOS end that look every second for what we have none of.

    Nobody waits inside a workflow for what another one says, or begins one later, or lets one run out of time. On
    Postgres the thread that hears what was said waits for it, and may stay.
    """
    dbos._background_jobs_stop_event.set()  # noqa: SLF001
    if isinstance(dbos._sys_db, SQLiteSystemDatabase):  # noqa: SLF001
        dbos._sys_db._run_background_processes = False  # noqa: SLF001


def _patch(event: threading.Event, kick: threading.Event, *, thread: str, poll: float, look: Look) -> None:
    wait, stop = event.wait, event.set

    def wait_or_kicked(timeout: float | None = None) -> bool:
        if threading.current_thread().name != thread:
            return wait(None if timeout is None else max(timeout, OTHERS_SECONDS))
        while not event.is_set():
            kicked = kick.wait(poll)
            kick.clear()
            if look.due() or kicked:
                break
        return event.is_set()

    def set_and_kick() -> None:
        stop()
        kick.set()

    event.wait = wait_or_kicked  # type: ignore[method-assign]
    event.set = set_and_kick  # type: ignore[method-assign]
