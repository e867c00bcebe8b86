"""A run's events as they happen, over SSE: what happened has an id, what is only being said has none."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from freehold.core.runs import FINAL
from freehold.store.scope import Tenancy
from freehold.store.threads import in_thread
from freehold.web.streams import Listening
from freehold.web.tail import Watch
from freehold.web.views import moment

KEEP_ALIVE: Final = 15.0
LAST: Final = frozenset(f"run.{state}" for state in FINAL)
FINISHED: Final = "step.finished"
MEDIA_TYPE: Final = "text/event-stream"
ENDED: Final = 'event: ended\ndata: {"code":"access_ended"}\n\n'
"""The last that is said to somebody who may not listen any more."""
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Event = dict[str, Any]


def told(event: Event) -> Event:
    """Return an event as it is written on the wire."""
    return event | {"at": moment(event["at"])}


async def stream(tail: Listening, tenancy: Tenancy, run: str, *, after: int) -> AsyncIterator[str]:
    """Give the run's events behind number `after`, then what happens, until its last event."""
    async with tail.watch(run) as watch:
        over, before = await in_thread(_before, tenancy, run)
        for event in before:
            if event["seq"] > after and not watch.revoked:
                yield _spelt(event)
        if not over:
            async for text in _following(watch, before):
                yield text
        if watch.revoked:
            yield ENDED


async def _following(watch: Watch, before: list[Event]) -> AsyncIterator[str]:
    seen = before[-1]["seq"] if before else 0
    recorded = {event["data"].get("key") for event in before if event["type"] == FINISHED}
    while not watch.over:
        item = await watch.next(KEEP_ALIVE)
        if item is None:
            yield ": still here\n\n"
        elif "live" in item:
            if item["key"] not in recorded:  # what is recorded is told as a whole; late pieces would say it twice
                yield _live(item)
        elif item["seq"] > seen:
            seen = item["seq"]
            yield _spelt(item)
            if item["type"] in LAST:
                return


def after_number(last_event_id: str) -> int:
    """Return the number of the last event a client has; one that is none counts as no event."""
    return int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 10 else 0  # noqa: PLR2004


def of_run(tenancy: Tenancy, run: str, *, after: int, limit: int) -> Sequence[Event]:
    """Return a run's events behind number `after`; raise `NotFound` where there is no such run."""
    with tenancy.read() as scope:
        return scope.events.of(scope.runs.get(run).id, after=after, limit=limit)


def _before(tenancy: Tenancy, run: str) -> tuple[bool, list[Event]]:
    """Return whether the run is over, and its events so far: then these are all."""
    with tenancy.read() as scope:
        over = scope.runs.get(run).state in FINAL
        found: list[Event] = []
        while more := scope.events.of(run, after=found[-1]["seq"] if found else 0):
            found.extend(more)
        return over, found


def _spelt(event: Event) -> str:
    return f"id: {event['seq']}\nevent: {event['type']}\ndata: {_json(told(event))}\n\n"


def _live(piece: Event) -> str:
    return f"event: {piece['live']}\ndata: {_json({k: v for k, v in piece.items() if k not in {'live', 'tenant'}})}\n\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
