"""The body of a worker: what runs agents, with the sandboxes it wakes and the tools it has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from freehold.agents.connection_tools import ConnectionTools
from freehold.agents.delegating import Delegating
from freehold.agents.framing import Instructions
from freehold.agents.furnishing import Furnished
from freehold.agents.loop import body_of
from freehold.agents.sandbox_tools import SandboxTools
from freehold.agents.web_tools import WebTools
from freehold.app.clearing import Clearing
from freehold.app.runtime import most, open_runtime
from freehold.core.clock import Clock
from freehold.core.ids import Ids
from freehold.drivers.objects.folder import FolderObjects
from freehold.gateway.client import WorkerGateway
from freehold.runs.segment import Body
from freehold.sandboxes.allowing import ByTier
from freehold.sandboxes.waking import Sandboxes
from freehold.settings import Settings
from freehold.store.objects import TenantFiles
from freehold.store.scope import Store


@asynccontextmanager
async def agents(
    settings: Settings, store: Store, clock: Clock, ids: Ids, gateway: WorkerGateway
) -> AsyncIterator[Body]:
    """Give the body that runs agents, and the sandboxes it wakes; they go with us."""
    sandboxes = Sandboxes(
        open_runtime(settings),
        new_id=ids,
        clock=clock,
        limits=ByTier(store, most(settings), clock),
        idle=settings.sandbox_idle,
        wakes=settings.sandbox_wakes,
        report=gateway.sandbox_usage,
        boxes=gateway,
    )
    objects = FolderObjects(settings.data)
    hands = Furnished(sandboxes, store, lambda tenant: TenantFiles(objects, tenant))
    clearing = Clearing(
        store, sandboxes.forget, lambda tenant: TenantFiles(objects, tenant), data=settings.data, clock=clock
    )
    keeping = [asyncio.create_task(sandboxes.keep()), asyncio.create_task(clearing.keep())]
    try:
        yield body_of(
            gateway=gateway,
            sandboxes=hands,
            tools=[
                SandboxTools(gateway, hands, timeout=settings.sandbox_timeout),
                Delegating(gateway),
                WebTools(gateway),
                ConnectionTools(gateway),
            ],
            contexts=[Instructions()],
            model_attempts=settings.model_attempts,
        )
    finally:
        for duty in keeping:
            duty.cancel()
        await sandboxes.close()
