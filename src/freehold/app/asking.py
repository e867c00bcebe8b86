"""What an operator asks the running gateway of this machine itself, by web's socket, and not through web."""

import asyncio
from typing import Any

from freehold.gateway.client import WebGateway
from freehold.settings import Settings


def loaded_packages(settings: Settings) -> list[dict[str, Any]]:
    """Return what the gateway over the data folder has loaded; raise `Unavailable` where none runs."""
    return asyncio.run(_loaded(settings))


async def _loaded(settings: Settings) -> list[dict[str, Any]]:
    gateway = WebGateway(settings.data / "run" / "gateway-web.sock", user=settings.gateway_user)
    try:
        return await gateway.packages()
    finally:
        await gateway.close()
