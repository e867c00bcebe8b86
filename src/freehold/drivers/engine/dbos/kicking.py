"""Kicking an engine: its queue is looked at when we say so, and otherwise as often as we want."""

import threading
from collections.abc import Iterable


def kickable(events: Iterable[threading.Event], kick: threading.Event, *, thread: str, poll: float) -> None:
    """
    Let `kick` end the pause of the `thread` that polls our queue.

    DBOS polls by waiting on the event (of `events`) that also stops it. We replace that wait, for this one thread,
    by a wait on our event, which is set by kicks and by stopping, and which lasts `poll` seconds at most: where
    databases contend DBOS would wait for up to two minutes. Without this, everything works at the speed of polling.
    """
    for event in events:
        _patch(event, kick, thread=thread, poll=poll)


def _patch(event: threading.Event, kick: threading.Event, *, thread: str, poll: float) -> None:
    wait, stop = event.wait, event.set

    def wait_or_kicked(timeout: float | None = None) -> bool:
        if threading.current_thread().name != thread:
            return wait(timeout)
        if not event.is_set():
            kick.wait(poll if timeout is None else min(timeout, poll))
            kick.clear()
        return event.is_set()

    def set_and_kick() -> None:
        stop()
        kick.set()

    event.wait = wait_or_kicked  # type: ignore[method-assign]
    event.set = set_and_kick  # type: ignore[method-assign]
