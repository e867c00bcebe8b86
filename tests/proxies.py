"""What tests of the proxy share: a box whose version may go to some hosts, and servers on this machine."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from freehold.app.gateway_store import open_store
from freehold.core.money import UsageKind
from freehold.gateway.asgi import Receive, Scope, Send, answer
from freehold.gateway.calls.boxes import Boxes
from freehold.gateway.calls.knocking import TARGET
from freehold.gateway.calls.room import Room
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.egress.front import fronts
from freehold.gateway.egress.judging import Judge
from freehold.gateway.egress.metering import Limits, Sessions
from freehold.gateway.egress.plain import Plain
from freehold.gateway.egress.tunnel import Tunnels
from freehold.gateway.keeping import Keep
from freehold.gateway.money_tables import usage
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.destinations import Allowed
from freehold.gateway.outward.guard import Guard
from freehold.gateway.outward.lookups import Lookup
from freehold.gateway.requests import BoxRequest
from freehold.gateway.tables import audit, versions
from freehold.settings import Settings
from freehold.testing.clock import FakeClock
from tests.dialling import loopback
from tests.shelves import shelve_gateways

TENANT, AGENT, VERSION, RUN, SANDBOX = "ten_1", "agt_1", "ver_1", "run_1", "sbx_1"
LIMITS = Limits(most_bytes=64 << 20, seconds=60, at_once=32)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Proxy:
    """One box, as a program in its sandbox meets it."""

    keep: Keep
    boxes: Boxes
    sessions: Sessions
    socket: Path
    inner: list[str] = field(default_factory=list)
    """Paths of ordinary requests that came through."""

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.socket)

    async def ask(self, said: bytes) -> tuple[int, bytes]:
        """Return status and all the rest of what the box answers before it hangs up."""
        reader, writer = await self.connect()
        writer.write(said)
        try:
            heard = await reader.read()
        except ConnectionResetError:
            heard = b""
        writer.close()
        return (int(heard.split()[1]) if heard else 0), heard

    async def refused(self, said: bytes) -> tuple[int, str]:
        """Return status and code of what is refused."""
        status, heard = await self.ask(said)
        return status, json.loads(heard.partition(b"\r\n\r\n")[2])["code"]

    async def tunnel(self, authority: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a tunnel that stands."""
        reader, writer = await self.connect()
        writer.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        return reader, writer

    async def record(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what was written down of ways out: action and detail of each."""
        await self.keep.write(lambda _tx: None)
        rows = await self.keep.read(
            lambda tx: tx.execute(select(audit.c.action, audit.c.detail).order_by(audit.c.at)).all()
        )
        return [(row.action, json.loads(row.detail)) for row in rows if row.action.startswith("egress.")]

    async def used(self) -> list[Any]:
        """Return the rows of usage."""
        await self.keep.write(lambda _tx: None)
        return list(
            await self.keep.read(lambda tx: tx.execute(select(usage).where(usage.c.kind == UsageKind.EGRESS)).all())
        )


@asynccontextmanager
async def proxy(
    folder: Path,
    *egress: str,
    limits: Limits = LIMITS,
    idle: float = 60.0,
    lookup: Lookup | None = None,
    allowed: Allowed = loopback,
    uid_base: int | None = None,
) -> AsyncIterator[Proxy]:
    """Give a box whose version may go to the hosts `egress`, as far as they are public or `allowed`."""
    clock = FakeClock()
    shelve_gateways(folder)
    keep = open_store(Settings(data=folder), clock)
    row: dict[str, Any] = {"tenant": TENANT, "version": VERSION, "agent": AGENT, "model": "main/small", "tools": {}}
    row |= {"egress": list(egress), "published_by": "tester", "published_at": clock.now()}
    keep.written(lambda tx: tx.execute(insert(versions).values(row)))
    guard = Guard(allowed, lookup=lookup)
    sessions, judge, client = Sessions(keep, limits), Judge(guard), Client(guard)
    tunnels, plain, inner = Tunnels(sessions, judge, idle=idle), Plain(sessions, judge, client), list[str]()

    def serve(speaker: Speaker, box: str, _room: Room) -> Any:
        named = plain.of(speaker, box)

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            if TARGET in scope:
                await named(scope, receive, send)
            else:
                inner.append(scope["path"])
                await answer(send, 200, [], b"inner")

        return respond

    boxes = Boxes(keep, folder / "box", serve, uid_base=uid_base, front=fronts(tunnels.open, seconds=1.0))
    await boxes.open(request())
    try:
        yield Proxy(keep, boxes, sessions, folder / "box" / SANDBOX / "gateway.sock", inner)
    finally:
        await boxes.end()
        await sessions.drain()
        await client.close()
        keep.close()


def request(**changes: Any) -> BoxRequest:
    """Return what a worker says when the sandbox wakes."""
    said: dict[str, Any] = {"tenant": TENANT, "agent": AGENT, "version": VERSION, "run": RUN, "epoch": 3}
    said |= {"sandbox": SANDBOX, "uid": 1, "holder": "worker/a"}
    return BoxRequest(**(said | changes))


class Server:
    """A server of this machine, and all that was said to it."""

    def __init__(self, serve: Serve | None = None) -> None:
        self._serve = serve or _echo
        self.port = 0
        self.heard: list[bytes] = []
        """What each connection said, those that said nothing included."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(b"")
        place = len(self.heard) - 1
        plain = reader.read

        async def read(count: int = -1) -> bytes:
            data = await plain(count)
            self.heard[place] += data
            return data

        reader.read = read  # type: ignore[method-assign, assignment]
        try:
            await self._serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def serving(serve: "Serve | Server | None" = None) -> AsyncIterator[Server]:
    """Give a server that echoes, or does what `serve` says."""
    made = serve if isinstance(serve, Server) else Server(serve)
    listener = await asyncio.start_server(made, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
