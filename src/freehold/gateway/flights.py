"""
Calls in flight: each goes on for itself, whoever stays on the line.

A call belongs to its key, not to the connection that asked for it: a client that hangs up changes nothing, and a
second request for the same key joins the call that is under way and hears what was said so far.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, final

from freehold.core.errors import Conflict

DRAIN_SECONDS: Final = 5.0


@final
class Flight:
    """One call under way."""

    def __init__(self, hash: str, epoch: int) -> None:  # noqa: A002 - the noun's own word
        """Start with nothing said."""
        self.hash, self.epoch = hash, epoch
        self.task: asyncio.Task[Any] | None = None
        self._pieces: list[str] = []
        self._listeners: list[Callable[[str], None]] = []

    def say(self, piece: str) -> None:
        """Pass a piece of text on to whoever listens."""
        self._pieces.append(piece)
        for listener in self._listeners:
            listener(piece)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Tell `listener` what was said so far, and from now on every piece."""
        if self._pieces:
            listener("".join(self._pieces))
        self._listeners.append(listener)

    def leave(self, listener: Callable[[str], None]) -> None:
        """Stop telling `listener`."""
        self._listeners.remove(listener)


@final
class Flights:
    """All calls under way."""

    def __init__(self) -> None:
        self._flights: dict[tuple[str, str], Flight] = {}

    async def take(
        self,
        tenant: str,
        key: str,
        *,
        hash: str,  # noqa: A002
        epoch: int,
        fly: Callable[[Flight], Awaitable[Any]],
        newer: Callable[[], Awaitable[None]],
        listener: Callable[[str], None] | None = None,
    ) -> Any:
        """
        Return what the call under `key` comes to: of the one under way, or of `fly`, started now.

        Raises `Conflict` where the one under way is about other bytes or of a newer owner; `newer` writes down
        that a newer owner joined, so that the older one is refused from then on.
        """
        flight = self._flights.get((tenant, key))
        if flight is None:
            flight = self._flights[tenant, key] = Flight(hash, epoch)
            flight.task = asyncio.get_running_loop().create_task(self._fly(tenant, key, flight, fly))
            flight.task.add_done_callback(_heard)
        _same(flight, hash, epoch)
        if epoch > flight.epoch:
            flight.epoch = epoch
            await newer()
        if listener is None:
            return await asyncio.shield(_task(flight))
        flight.listen(listener)
        try:
            return await asyncio.shield(_task(flight))
        finally:
            flight.leave(listener)

    def count(self, tenant: str | None) -> int:
        """Return how many calls of `tenant` (none: of all tenants) are under way."""
        return sum(1 for whose, _key in self._flights if whose == tenant or (tenant is None and whose))

    def under_way(self, tenant: str, key: str) -> bool:
        """Return whether the call under `key` is under way."""
        return (tenant, key) in self._flights

    async def drain(self) -> None:
        """Wait a little for what is under way; what is not done then is found open at the next start."""
        tasks = [_task(flight) for flight in self._flights.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()

    async def _fly(self, tenant: str, key: str, flight: Flight, fly: Callable[[Flight], Awaitable[Any]]) -> Any:
        try:
            return await fly(flight)
        finally:
            del self._flights[tenant, key]


def _task(flight: Flight) -> "asyncio.Task[Any]":
    if flight.task is None:
        raise RuntimeError("A flight has its task before anybody can find it.")
    return flight.task


def _same(flight: Flight, hash: str, epoch: int) -> None:  # noqa: A002
    if flight.hash != hash:
        raise Conflict(
            "Something else is being done under this key.",
            code="key_reused",
            remedy="A key belongs to one effect for ever; use a fresh one.",
        )
    if epoch < flight.epoch:
        raise Conflict(
            "Another worker has taken this run over.", code="stale_epoch", remedy="Stop working on this segment."
        )


def _heard(task: "asyncio.Task[Any]") -> None:
    """Look at how the task ended, so that nobody complains when everybody who asked has hung up."""
    if not task.cancelled():
        task.exception()
