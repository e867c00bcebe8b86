"""A whole gateway for tests: real store, real sockets, a clock to wind."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.app.gateway import Gateway, composed, listening
from freehold.core.clock import Clock
from freehold.core.effects import Effect
from freehold.gateway.client import WebGateway, Work, WorkerGateway
from freehold.settings import Settings
from freehold.testing.clock import FakeClock
from tests.shelves import shelve_gateways

TENANT, AGENT, VERSION, RUN = "ten_1", "agt_1", "ver_1", "run_1"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Kit:
    """A running gateway and the two ways to it."""

    gateway: Gateway
    web: WebGateway
    worker: WorkerGateway
    data: Path

    async def publish(self, model: str = "rehearsal", tools: dict[str, str] | None = None, **other: Any) -> None:
        named: dict[str, Any] = {"tenant": TENANT, "agent": AGENT, "version": VERSION, **other}
        await self.web.publish(**named, model=model, tools=tools or {}, by="tester")

    async def actions(self) -> list[str]:
        return [link["action"] for link in await self.web.audit(TENANT)]


PRICES = Path(tempfile.gettempdir()) / f"freehold-tests-{os.getuid()}" / "prices.json"
"""Compiled once for all tests: it takes a second of a core."""


@asynccontextmanager
async def running(data: Path, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Kit]:
    """Give a gateway over `data` while the block lasts."""
    stated: dict[str, Any] = {"data": data, "rehearsal": True, "price_list": str(PRICES)}
    made = Settings(**(stated | settings))
    shelve_gateways(data)
    async with composed(made, clock or FakeClock()) as gateway, listening(made, gateway):
        web, worker = WebGateway(data / "run/gateway-web.sock"), WorkerGateway(data / "run/gateway-worker.sock")
        try:
            yield Kit(gateway=gateway, web=web, worker=worker, data=data)
        finally:
            await web.close()
            await worker.close()


def work(**changes: Any) -> Work:
    """Return on whose behalf a worker asks."""
    asks: dict[str, Any] = {"tenant": TENANT, "agent": AGENT, "version": VERSION, "run": RUN, "epoch": 1}
    return Work(**(asks | changes))


def effect(
    operation: str = "shell", connection: str = "sandbox", key: str = f"{RUN}/1/1/1", **arguments: Any
) -> Effect:
    """Return an effect of the run."""
    return Effect(key=key, connection=connection, operation=operation, arguments=arguments)


def said(text: str) -> dict[str, Any]:
    """Return a chat request in which a person said `text`."""
    return {"messages": [{"role": "user", "content": text}]}
