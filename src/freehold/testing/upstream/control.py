"""How a test in another process reads the ledger, writes the script and opens the gate."""

import asyncio
from typing import Any, Protocol, final

import msgspec

from freehold.testing.upstream import acts
from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.ledger import Ledger
from freehold.testing.upstream.wire import Request


@final
class Gate:
    """Lets as many events pass as it was told to."""

    def __init__(self) -> None:
        """Begin closed."""
        self._passes = asyncio.Semaphore(0)
        self.waiting = 0

    def open(self, events: int = 1) -> None:
        """Let so many more pass."""
        for _ in range(events):
            self._passes.release()

    async def pass_one(self) -> None:
        """Wait for one's turn."""
        self.waiting += 1
        try:
            await self._passes.acquire()
        finally:
            self.waiting -= 1


class Controlled(Protocol):
    """What can be told to."""

    script: Any
    standing: Act
    ledger: Ledger
    gate: Gate

    @property
    def connected(self) -> int:
        """How many connections are open."""
        ...


def controlled(upstream: Controlled, request: Request) -> dict[str, Any] | None:
    """Answer what is asked of the stage and not of the play; nothing where it is a question for a model."""
    match request.method, request.path:
        case "GET", "/ledger":
            told = upstream.ledger.told(int(request.query.get("limit", 1000)))
            return told | {"connected": upstream.connected - 1, "waiting": upstream.gate.waiting}
        case "DELETE", "/ledger":
            upstream.ledger.clear()
        case "POST", "/script":
            upstream.script.extend(acts.of(each) for each in msgspec.json.decode(request.body))
        case "POST", "/standing":
            upstream.standing = acts.of(msgspec.json.decode(request.body))
        case "POST", "/gate":
            upstream.gate.open(int(request.query.get("events", 1)))
        case _:
            return None
    return {"ok": True}
