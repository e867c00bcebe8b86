"""
The web process: the API, streams and hooks, on the one address people come to.

It closes itself off, takes its address, brings the database up to date, and answers until it is told to stop;
then its streams end first, so that nobody holds it up.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from freehold import failpoints
from freehold.app.address import bound
from freehold.app.clock import SystemClock
from freehold.app.closing import close_off
from freehold.app.database import ids_of, open_database
from freehold.app.engine import open_engine
from freehold.app.serving import Server, run_process, stop_asked
from freehold.core.clock import Clock
from freehold.drivers.channel.webhook import WebhookChannel
from freehold.drivers.objects.folder import FolderObjects
from freehold.gateway.client import WebGateway
from freehold.runs.nudging import Nudge, listen
from freehold.settings import Settings
from freehold.store.objects import TenantFiles
from freehold.store.patience import Patient
from freehold.store.scope import Store
from freehold.store.threads import in_thread
from freehold.tenants.caller import Known
from freehold.tenants.groups import read as read_groups
from freehold.tenants.keys import hashed
from freehold.tenants.operator import ensure_operator_key, ensure_seal
from freehold.tenants.sealing import Seal
from freehold.web.anchoring import keep_anchored
from freehold.web.building import build
from freehold.web.key_uses import keep_uses
from freehold.web.lapsing import keep_lapsed
from freehold.web.purging import keep_purged
from freehold.web.rates import rates_of
from freehold.web.state import State
from freehold.web.streams import Streams
from freehold.web.tail import Tail
from freehold.web.text_keys import keep_keys
from freehold.web.watching import keep_watch

GRACE_SECONDS: Final = 5


@asynccontextmanager
async def composed(settings: Settings, clock: Clock) -> AsyncIterator[tuple[State, FastAPI]]:
    """Give the application over `settings.data`, its tail following and its nudges heard."""
    read_groups(settings.oidc_groups)  # a mistake in it is told at the start, not to the first who signs in
    database = await in_thread(open_database, settings)
    store, run = Store(database), settings.data / "run"
    gateway, worker, tail = (
        WebGateway(run / "gateway-web.sock", user=settings.gateway_user),
        Nudge(run / "worker.sock"),
        Tail(store),
    )
    objects = FolderObjects(settings.data)
    known = Known(
        operator_hash=settings.operator_key_hash or hashed(ensure_operator_key(settings.data)),
        seal=Seal(settings.key_seal or ensure_seal(settings.data)),
        operator_passkey=settings.operator_passkey,
        claim_hash=settings.claim_hash,
    )
    state = State(
        settings=settings,
        store=store,
        clock=clock,
        ids=await in_thread(ids_of, store, clock),
        engine=await in_thread(open_engine, settings, database),
        gateway=gateway,
        tail=tail,
        streams=Streams(store, tail, known=known, clock=clock),
        worker=worker,
        channels=MappingProxyType({"webhook": WebhookChannel()}),
        files=lambda tenant: TenantFiles(objects, tenant),
        known=known,
        rates=rates_of(settings, clock),
    )
    duties = [
        asyncio.create_task(tail.follow()),
        asyncio.create_task(state.streams.follow()),
        asyncio.create_task(keep_lapsed(state)),
        asyncio.create_task(keep_anchored(state)),
        asyncio.create_task(keep_purged(state)),
        asyncio.create_task(keep_watch(state)),
        asyncio.create_task(keep_keys(state)),
        asyncio.create_task(keep_uses(state)),
    ]
    try:
        with listen(run / "web.sock", lambda told: _hear(tail, told)):
            yield state, build(state)
    finally:
        for duty in duties:
            duty.cancel()
        worker.close()
        await gateway.close()
        database.close()


async def serve(settings: Settings) -> None:
    """Be web until told to stop."""
    close_off()
    failpoints.arm(settings.failpoint)
    listener = bound(settings.address)
    async with composed(settings, SystemClock()) as (state, app):
        state.metrics.set("freehold_process_start_time_seconds", state.clock.now().timestamp())
        server = Server(_config(app))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        gc.collect()
        gc.freeze()
        stopping = asyncio.create_task(stop_asked().wait())
        await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        state.tail.close()
        server.should_exit = True
        await serving


def main(settings: Settings) -> None:
    """Run the web process."""
    run_process(settings, serve(settings))


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Patient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _hear(tail: Tail, told: dict[str, Any]) -> None:
    if "live" in told:
        tail.live(told)
    else:
        tail.poke()
