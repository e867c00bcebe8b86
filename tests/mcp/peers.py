"""MCP servers made with the official SDK, each a process of its own, for tests that talk to them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

HERE = Path(__file__).parent
PYTHON = HERE.parent.parent / ".venv-mcp/bin/python"
needed = pytest.mark.skipif(
    not PYTHON.exists(), reason="the SDK of MCP is missing; `tools/environment clients` installs it"
)
"""Put on tests that talk to such a server."""


@dataclass(frozen=True)
class Peer:
    """A server that runs, and the ledger of what it really did."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def ledger(self) -> list[str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}/ledger") as answer:
            return list(await answer.json())

    async def describe(self, text: str) -> None:
        """Have the server tell something else of the tool `shifty` from now on."""
        url = f"http://127.0.0.1:{self.port}/describe"
        async with aiohttp.ClientSession() as session, session.post(url, data=text) as answer:
            assert answer.status == 200


@asynccontextmanager
async def serving(
    *, port: int = 0, key: str = "", answers_json: bool = False, stateless: bool = False, newest: bool = False
) -> AsyncIterator[Peer]:
    """Give a server while the block lasts; the `newest` knows only versions without a handshake."""
    said = json.dumps({"port": port, "key": key, "json": answers_json, "stateless": stateless, "newest": newest})
    process = await asyncio.create_subprocess_exec(
        PYTHON, HERE / "scripts/server.py", said, stdout=asyncio.subprocess.PIPE, env={"PYTHONDONTWRITEBYTECODE": "1"}
    )
    assert process.stdout is not None
    try:
        yield Peer(int(await asyncio.wait_for(process.stdout.readline(), 60)))
    finally:
        process.kill()
        await process.wait()
