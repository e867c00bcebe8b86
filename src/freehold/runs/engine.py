"""
The port to the engine: it brings each submitted segment to a worker, again if that worker dies.

What an engine keeps is a copy of what the runs say, and can be dropped: ids only, never content.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Connection

NO_SLOT: Final = -1
"""The slot of a run that is not submitted yet: it waits for its turn and takes up no place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One segment of one run, as the engine knows it."""

    tenant: str
    run: str
    segment: int
    slot: int = 0

    @property
    def id(self) -> str:
        """What the engine calls it; sorts by the time the run was made."""
        return f"{self.run}:{self.segment}"


Carry = Callable[[Ticket], Awaitable[None]]
"""
Carries a segment out and returns when nothing is left to do for it; it may be called again for the same one.

One that raises `asyncio.CancelledError` leaves the segment to another worker.
"""


class Engine(Protocol):
    """
    What anybody may ask of the engine, within a transaction of theirs.

    Every method may be called twice with the same argument and then changes nothing. The suite in
    `freehold.testing.contract.engine` is the other half of this definition.
    """

    slots: int
    """How many segments of one tenant go on at once; each in a slot of its own, in order of their ids."""

    def submit(self, connection: Connection, *, tenant: str, run: str, segment: int, slot: int) -> None:
        """Queue the segment if the transaction commits; a segment that is known already is not queued again."""
        ...

    def withdraw(self, connection: Connection, *, run: str, segment: int) -> None:
        """Take the segment out of the queue; one that is under way is left to whoever carries it."""
        ...

    def missing(self, connection: Connection, tickets: Iterable[Ticket]) -> list[Ticket]:
        """Return those of `tickets` that the engine neither queues nor has under way."""
        ...

    def forget(self, connection: Connection, tickets: Iterable[Ticket]) -> None:
        """Drop what the engine knows of these, so that they can be submitted afresh."""
        ...


class Dispatcher(Protocol):
    """What a worker asks of the engine: bring the segments."""

    async def start(self, carry: Carry) -> None:
        """Begin to bring queued segments to `carry`, in the running loop."""
        ...

    async def drain(self, seconds: float) -> None:
        """Bring no more, wait up to `seconds` for those under way, and leave the rest to a successor."""
        ...

    def kick(self) -> None:
        """Look at once; without it a segment is noticed within a second. May be called from any thread."""
        ...

    def take_over(self, workers: Collection[str] | None) -> int:
        """Queue again what these dead workers had under way (None: all others) and return how many segments."""
        ...

    def take_back(self) -> int:
        """
        Queue again what we are said to have under way and nobody here carries, and return how many segments.

        Beginning or ending a segment may fail where the database does; without this its slot stays taken for ever.
        Only what was found so at two calls in a row counts.
        """
        ...

    def tidy(self) -> int:
        """Drop what is known of segments that ended a while ago and return how many those were."""
        ...

    def health(self) -> dict[str, Any]:
        """Return `ok` and how many segments are queued and under way; raise `Unavailable` if it cannot be asked."""
        ...
