"""What tests of the relay share: a gateway with a connection to a counterpart, and requests as programs make them."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from freehold.testing.counterpart import Answers, Counterpart, Tells, counterpart
from tests.gateways import TENANT, Kit, running, work

SANDBOX = "sbx_1"
QUIET_SECONDS = 1.0
TOKEN = "tok-canary-5d1f0c9a7e2b"
CONFIG: dict[str, Any] = {
    "allow": ["GET:/items", "GET:/items/*", "GET:/redirect", "POST:/items"],
    "inject": "header:Authorization",
}
TOOLS = {"shop.get": "allow", "shop.post": "allow"}


@dataclass(frozen=True)
class Said:
    """An answer as a program reads it."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Bench:
    """A gateway, the server it leads to, and the box of a sandbox."""

    kit: Kit
    outside: Counterpart
    socket: Path

    async def ask(self, method: str, path: str, **how: Any) -> Said:
        """Return what a program is answered."""
        place = f"http://box/egress/shop{path}"
        async with self.session() as session, session.request(method, place, allow_redirects=False, **how) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Said(answer.status, headers, await answer.read())

    def session(self) -> aiohttp.ClientSession:
        """Return a way to ask as a program does."""
        connector = aiohttp.UnixConnector(str(self.socket))
        return aiohttp.ClientSession(connector=connector, auto_decompress=False, skip_auto_headers=["User-Agent"])

    async def raw(self, said: bytes) -> bytes:
        """Return all that comes back for some bytes until the box hangs up, or says nothing more."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        writer.write(said)
        heard = b""
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            while piece := await asyncio.wait_for(reader.read(1 << 16), QUIET_SECONDS):
                heard += piece
        writer.close()
        return heard

    async def record(self, action: str) -> list[dict[str, Any]]:
        """Return the record's lines of what went out, or was to."""
        for _ in range(100):  # the end of a session is written down behind it
            found = [link for link in await self.kit.web.audit(TENANT) if link["action"] == action]
            if found:
                return found
            await asyncio.sleep(0.02)
        return []


@asynccontextmanager
async def relaying(
    data: Path,
    answers: Answers = lambda _heard: Tells(pieces=[b"hello"]),
    *,
    tools: dict[str, str] | None = None,
    config: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Bench]:
    """Give a gateway whose tenant has a connection `shop` to a counterpart, and a box that may use it."""
    settings |= {"sandbox_uid_base": os.geteuid() or 200_000}
    async with counterpart(answers) as outside, running(data, **settings) as kit:
        await kit.web.set_secret(TENANT, "shop", TOKEN, by="tester")
        whole = CONFIG | {"base_url": f"{outside.url}/v2"} | (config or {})
        await kit.web.create_connection(TENANT, kind="http", name="shop", config=whole, secret="shop", by="tester")
        await kit.publish(tools=TOOLS if tools is None else tools)
        kit.gateway.boxes._uid_base = None
        await kit.worker.open_box(work(), sandbox=SANDBOX, uid=1, holder="worker/a")
        yield Bench(kit, outside, data / "box" / SANDBOX / "gateway.sock")
