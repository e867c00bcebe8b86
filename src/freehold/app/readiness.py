"""Asking the platform whether it is there, with nothing but a socket."""

import asyncio
import contextlib
import json
from typing import Any, Final

SECONDS: Final = 2.0
LONGEST: Final = 1 << 16


async def health(address: str) -> dict[str, Any] | None:
    """Return what `/healthz` at `address` says, with `status`, or None if nobody answers there."""
    try:
        return await asyncio.wait_for(_asked(address, "/healthz"), SECONDS)
    except (OSError, ValueError, TimeoutError, EOFError):
        return None


async def claimed(address: str) -> bool:
    """Return whether the installation at `address` has an operator; one that does not say counts as claimed."""
    try:
        ways = await asyncio.wait_for(_asked(address, "/api/v1/login/ways"), SECONDS)
    except (OSError, ValueError, TimeoutError, EOFError):
        return True
    return ways.get("claimed") is not False


async def _asked(address: str, path: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read(LONGEST)).partition(b"\r\n\r\n")
        while chunk := await reader.read(LONGEST):
            body += chunk
        said = json.loads(body)
        return {**said, "status": int(head.split()[1])} if isinstance(said, dict) else {}
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
