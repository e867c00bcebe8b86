"""A server of MCP that does as a test says, and the driver in front of it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from freehold.core.effects import EffectKind
from freehold.core.tools import Tool
from freehold.drivers.connector.mcp.driver import Mcp
from freehold.gateway.asked import Behalf
from freehold.gateway.ports import ConnectorCall, Credential, Reached
from freehold.testing.clock import FakeClock
from freehold.testing.counterpart import Counterpart, Heard, Tells, counterpart
from tests.dialling import client

JSON = {"Content-Type": "application/json"}
STREAM = {"Content-Type": "text/event-stream"}
TOOL = Tool(name="do", description="Do it.", parameters={"type": "object"}, kind=EffectKind.MESSAGE, how={"tool": "do"})
LISTED = {"name": "do", "description": "Do it.", "inputSchema": {"type": "object"}}
Does = Callable[[dict[str, Any]], Tells]


class Script:
    """A server that shakes hands and lists one tool; what it does when it is called, a test says."""

    def __init__(self) -> None:
        self.version: Any = "2025-06-18"
        self.session = "s-1"
        self.listed: list[Any] = [LISTED]
        self.on: dict[str, Does] = {}
        self.on_get: Callable[[Heard], Tells] = lambda _: Tells(status=405)
        self.asked: list[str] = []

    def answer(self, heard: Heard) -> Tells:
        if heard.method != "POST":
            self.asked.append(heard.method)
            return self.on_get(heard) if heard.method == "GET" else Tells(status=200)
        message = json.loads(heard.body)
        method = str(message.get("method", "reply"))
        self.asked.append(method)
        return self.on.get(method, self.usually)(message)

    def usually(self, message: dict[str, Any]) -> Tells:
        if "id" not in message or "method" not in message:
            return Tells(status=202)
        said: dict[str, dict[str, Any]] = {
            "initialize": {"protocolVersion": self.version},
            "tools/list": {"tools": self.listed},
            "tools/call": {"content": []},
        }
        headers = {"Mcp-Session-Id": self.session} if message["method"] == "initialize" and self.session else {}
        return result(message, said[message["method"]], **headers)

    @property
    def calls(self) -> int:
        return self.asked.count("tools/call")


def result(message: dict[str, Any], said: dict[str, Any], **headers: str) -> Tells:
    body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": said}).encode()
    return Tells(headers=JSON | headers, pieces=[body])


def event(message: dict[str, Any], id_: str = "") -> bytes:
    return (f"id: {id_}\n" if id_ else "").encode() + b"data: " + json.dumps(message).encode() + b"\n\n"


@asynccontextmanager
async def played() -> AsyncIterator[tuple[Script, Counterpart, Mcp, FakeClock]]:
    script, clock, way = Script(), FakeClock(), client()
    driver = Mcp(way, clock)
    async with counterpart(script.answer) as outside:
        yield script, outside, driver, clock
        await driver.close()
        await way.close()


def reached(outside: Counterpart, tenant: str = "ten_1", key: str = "key-0123456789", **config: Any) -> Reached:
    stated = {"base_url": f"{outside.url}/mcp", **config}
    return Reached(owner="", name="n", config=stated, credential=Credential(key), behalf=Behalf(tenant))


def call(to: Reached, tool: Tool = TOOL) -> ConnectorCall:
    return ConnectorCall(key="k", tool=tool, arguments={}, to=to, sent=lambda: None)
