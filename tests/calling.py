"""A gateway with its outside door open, and the scripted provider behind it: for tests of model calls end to end."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from freehold.core.errors import FreeholdError
from freehold.gateway.client import WebGateway
from freehold.testing.platform import free_port
from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.server import Upstream, serving
from tests.gateways import AGENT, TENANT, Kit, running

CREDENTIAL: Final = "sk-upstream-4f1d"
"""What the provider knows the gateway by."""
CHAT, CLAUDE, GEMINI = "acct/scripted", "claude/scripted", "gem/scripted"
SERVE: Final = """
import json, sys
from freehold.app import gateway
from freehold.settings import Settings
gateway.main(Settings.read(json.loads(sys.argv[1])))
"""


@dataclass(frozen=True)
class Said:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(msgspec.json.decode(self.body))

    @property
    def events(self) -> list[bytes]:
        return [part for part in self.body.split(b"\n\n") if part]


@dataclass
class Desk:
    """Where a test sits: in front of the gateway, with the provider's ledger in hand."""

    data: Path
    upstream: Upstream
    web: WebGateway
    address: str
    key: str = ""
    client: aiohttp.ClientSession = field(init=False)
    kit: Kit | None = None
    """The gateway, where it is in this process."""

    def __post_init__(self) -> None:
        self.client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    async def prepare(self) -> None:
        """Make the connections and a key; the provider is a server of this machine's."""
        await self.web.allow_destination(None, name="here", place="127.0.0.1:*", by="tester")
        await self.web.set_secret(TENANT, "up", CREDENTIAL, by="tester")
        price = {"price": {"*": self.upstream.ledger.price.config}}
        places = {"acct": ("openai", "/v1"), "claude": ("anthropic", "/v1"), "gem": ("gemini", "/v1beta")}
        for name, (kind, path) in places.items():
            config = {"base_url": self.upstream.url + path, **price}
            await self.web.create_connection(TENANT, kind=kind, name=name, config=config, secret="up", by="tester")
        self.key = await self.make_key("tests", [CHAT, CLAUDE, GEMINI])

    async def make_key(self, name: str, models: list[str]) -> str:
        made = await self.web.create_model_key(
            TENANT, name=name, agent=AGENT, models=models, expires_at=None, by="tester"
        )
        return str(made["key"])

    async def post(self, path: str, body: bytes | dict[str, Any], **headers: str) -> Said:
        """Ask the gateway, and read the answer as it came."""
        async with self.asking(path, body, **headers) as answer:
            return Said(answer.status, answer.headers, await answer.read())

    def asking(self, path: str, body: bytes | dict[str, Any], **headers: str) -> Any:
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(self.url + path, data=data, headers=sent)

    async def chat(self, text: str = "Hello", **more: Any) -> Said:
        return await self.post("/v1/chat/completions", chat(text, **more))

    async def limit(self, nano: int, scope: str = "tenant", subject: str = "", period: str = "month") -> None:
        await self.web.set_budget(TENANT, scope=scope, subject=subject, period=period, limit_nano=nano, by="tester")

    async def settled(self) -> dict[str, Any]:
        """Wait until nothing is held any more, and return the usage."""
        async with asyncio.timeout(20):
            while True:
                told = await self.web.usage(TENANT)
                if not any(row["state"] == "open" for row in told["rows"]) and not told.get("held_nano"):
                    return told
                await asyncio.sleep(0.01)

    async def balanced(self) -> int:
        """Hold rows, counters and the provider's ledger against each other, and return what they all say."""
        await self.upstream.idle()
        told = await self.settled()
        rows: int = sum(row["cost_nano"] for row in told["rows"])
        assert rows == self.upstream.ledger.nano, (told["rows"][:5], self.upstream.ledger.told(5))
        assert told["spent_nano"] == sum(row["charge_nano"] for row in told["rows"])
        assert told["held_nano"] == 0
        return rows

    async def close(self) -> None:
        await self.client.close()
        await self.web.close()


@asynccontextmanager
async def calling(
    data: Path, *script: Act, upstream: Mapping[str, Any] | None = None, **how: Any
) -> AsyncIterator[Desk]:
    """Give a desk in front of a gateway in this process; `how` is what `running` takes."""
    address = f"127.0.0.1:{free_port()}"
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(serving(*script, **dict(upstream or {})))
        kit = await stack.enter_async_context(running(data, gateway_address=address, **how))
        desk = Desk(data, behind, kit.web, address, kit=kit)
        stack.push_async_callback(desk.client.close)
        await desk.prepare()
        yield desk


@asynccontextmanager
async def gateway_process(desk: Desk, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a gateway process for a desk until the block ends, or the process does."""
    stated = {"FREEHOLD_DATA": str(desk.data), "FREEHOLD_GATEWAY_ADDRESS": desk.address, "FREEHOLD_TEST": "1"}
    given = msgspec.json.encode(stated | environment).decode()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVE, given)
    try:
        await up(desk)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def up(desk: Desk) -> None:
    """Wait until the gateway answers."""
    async with asyncio.timeout(30):
        while True:
            try:
                await desk.web.health()
            except FreeholdError:
                await asyncio.sleep(0.02)
            else:
                return


@asynccontextmanager
async def apart(data: Path, **how: Any) -> AsyncIterator[Desk]:
    """Give a desk whose gateway is a process of its own, to be started with `gateway_process`."""
    async with serving(**how) as behind:
        desk = Desk(data, behind, WebGateway(data / "run/gateway-web.sock"), f"127.0.0.1:{free_port()}")
        try:
            yield desk
        finally:
            await desk.close()


def chat(text: str = "Hello", model: str = CHAT, **more: Any) -> dict[str, Any]:
    """Return a chat completion's request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}
