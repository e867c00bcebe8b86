"""What tests of boxes share: a store with three versions, something that answers, and calls as programs make them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from freehold.app.gateway_store import open_store
from freehold.core.errors import FreeholdError
from freehold.gateway.asgi import App, Receive, Scope, Send
from freehold.gateway.calls.boxes import Boxes
from freehold.gateway.calls.speaking import models_of, refusing
from freehold.gateway.formats import Caller
from freehold.gateway.keeping import Keep
from freehold.gateway.requests import BoxRequest
from freehold.gateway.tables import versions
from freehold.settings import Settings
from freehold.testing.clock import FakeClock

TENANT, AGENT, RUN, SANDBOX = "ten_1", "agt_1", "run_1", "sbx_1"
ALLOWED, ASKING, NOT = "ver_allow", "ver_ask", "ver_none"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def keep(tmp_path: Path, clock: FakeClock) -> Iterator[Keep]:
    """Give a gateway's store with three versions: may call models, must ask, may not."""
    made = open_store(Settings(data=tmp_path / "gateway"), clock)
    verdicts = {ALLOWED: {"models": "allow"}, ASKING: {"models": "ask"}, NOT: {"shell": "allow"}}
    rows = [
        {"tenant": TENANT, "version": version, "agent": AGENT, "model": "main/small", "tools": tools}
        | {"pins": {}, "egress": [], "published_by": "tester", "published_at": clock.now()}
        for version, tools in verdicts.items()
    ]
    made.written(lambda tx: tx.execute(insert(versions), rows))
    yield made
    made.close()


class Echo:
    """Answers every call with who made it, while it may be made; stands where the door does."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self.held = asyncio.Event()
        self.held.set()
        self.arrived, self.left = asyncio.Event(), asyncio.Event()

    def serve(self, caller: Caller) -> App:
        """Return what answers a caller."""
        whom, models = caller.whom, caller.models or ()

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if not self.held.is_set():
                self.arrived.set()
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.left.set()
                return
            try:
                await self._keep.read(caller.still or (lambda _tx: None))
            except FreeholdError as error:
                await refusing(error)(scope, receive, send)
                return
            told = {"tenant": whom.tenant, "run": whom.run, "version": whom.version, "attended": whom.attended}
            body = json.dumps(told | {"models": sorted(models), "path": scope["path"]}).encode()
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return answer


@pytest.fixture
def echo(keep: Keep) -> Echo:
    return Echo(keep)


@asynccontextmanager
async def opened(keep: Keep, folder: Path, echo: Echo, uid_base: int | None = None) -> AsyncIterator[Boxes]:
    boxes = Boxes(keep, folder, lambda speaker, _box, _room: models_of(speaker, echo.serve), uid_base=uid_base)
    try:
        yield boxes
    finally:
        await boxes.end()


@pytest.fixture
async def boxes(keep: Keep, tmp_path: Path, echo: Echo) -> AsyncIterator[Boxes]:
    async with opened(keep, tmp_path / "box", echo) as made:
        yield made


def request(**changes: Any) -> BoxRequest:
    """Return what a worker says when a sandbox wakes."""
    said: dict[str, Any] = {"tenant": TENANT, "agent": AGENT, "version": ALLOWED, "run": RUN, "epoch": 3}
    said |= {"sandbox": SANDBOX, "uid": 1, "holder": "worker/a"}
    return BoxRequest(**(said | changes))


async def call(folder: Path, sandbox: str = SANDBOX, *, path: str = "/v1/models", **headers: str) -> tuple[int, Any]:
    """Return status and body of a call as a program would make it."""
    reader, writer = await asyncio.open_unix_connection(folder / sandbox / "gateway.sock")
    lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *(f"{k}: {v}" for k, v in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    said = await reader.read()
    writer.close()
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, json.loads(body) if body else None


async def refused(folder: Path, **more: Any) -> tuple[int, str]:
    """Return status and code of a call that is refused."""
    status, body = await call(folder, **more)
    return status, body["error"]["code"]
