"""
The gateway process: the only composition that opens the vault.

It closes itself off first, takes its place, brings its store up to date, finds what a dead predecessor left
open, and then listens on two sockets until it is told to stop.
"""

import asyncio
import gc
import logging
import os
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from freehold import failpoints
from freehold.app.clock import SystemClock
from freehold.app.closing import close_off
from freehold.app.exposing import GATEWAY, exposed
from freehold.app.gateway_boxes import sandboxes_served
from freehold.app.gateway_drivers import drivers_of
from freehold.app.gateway_store import master_key_file, migrated, open_store, price_list
from freehold.app.in_child import in_child
from freehold.app.serving import Server, run_process, stop_asked
from freehold.audit.sealing import EVERY as SEAL_SECONDS
from freehold.core.clock import Clock
from freehold.core.metrics import Metrics
from freehold.drivers.connector.webhook import verifier
from freehold.drivers.identity.oidc.driver import OpenIdProvider
from freehold.gateway import mending
from freehold.gateway.calls.boxes import Boxes
from freehold.gateway.calls.callers import KeyCallers
from freehold.gateway.calls.door import Door
from freehold.gateway.calls.engine import Engine
from freehold.gateway.calls.outside import Outside
from freehold.gateway.calls.routing import Ways
from freehold.gateway.calls.trying import Trial
from freehold.gateway.connections import Drivers
from freehold.gateway.edge import Edge
from freehold.gateway.effects import Effects
from freehold.gateway.flights import Flights
from freehold.gateway.identity import SignOn
from freehold.gateway.keeping import Keep
from freehold.gateway.listening import alone, listen, listen_outside
from freehold.gateway.models import Models
from freehold.gateway.money.books import Books
from freehold.gateway.money.prices import Prices
from freehold.gateway.money_socket import Money
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.destinations import Destinations
from freehold.gateway.outward.guard import Guard
from freehold.gateway.placing import SecondPlace
from freehold.gateway.rotations import Rotations
from freehold.gateway.sign_in.accounts import Accounts
from freehold.gateway.sign_in.asking import Asking
from freehold.gateway.sign_in_socket import SignIns
from freehold.gateway.switch_socket import Switches
from freehold.gateway.web_socket import web_edge
from freehold.gateway.worker_socket import worker_edge
from freehold.settings import Settings
from freehold.store.patience import Patient

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 300.0
ACCOUNT_SECONDS: Final = 600.0
PLACE_SECONDS: Final = 60.0
USED_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway put together: its store, and what answers where."""

    keep: Keep
    place: SecondPlace
    flights: Flights
    rotations: Rotations
    accounts: Accounts
    boxes: Boxes
    callers: KeyCallers
    web: Edge
    worker: Edge
    outside: Outside
    metrics: Metrics


@asynccontextmanager
async def signing_on(settings: Settings, keep: Keep, clock: Clock) -> AsyncIterator[SignOn]:
    """Give the way people sign in by a provider, if one is stated."""
    provider = None
    if settings.oidc_issuer:
        claim, trust = settings.oidc_groups_claim, settings.oidc_trust_email
        provider = OpenIdProvider(settings.oidc_issuer, settings.oidc_client_id, clock, groups=claim, trust=trust)
    try:
        yield SignOn(keep, provider, settings.oidc_client_secret)
    finally:
        if provider is not None:
            await provider.close()


@asynccontextmanager
async def signing_in(keep: Keep, drivers: Drivers, guard: Guard) -> AsyncIterator[tuple[Accounts, SignIns]]:
    """Give what looks after the accounts of connections, and how people sign in to them."""
    client = Client(guard)
    asking = Asking(client)
    accounts = Accounts(keep, drivers, asking)
    try:
        yield accounts, SignIns(keep, drivers, asking, accounts)
    finally:
        await accounts.end()
        await client.close()


def sandbox_users(settings: Settings) -> int | None:
    """Return the number from which on sandboxes are users of their own; none: they are ours."""
    apart = settings.gateway_worker_group >= 0 or os.geteuid() == 0
    return settings.sandbox_uid_base if apart else None


@asynccontextmanager
async def composed(settings: Settings, clock: Clock) -> AsyncIterator[Gateway]:
    """Give a gateway that has looked after what its predecessor left, and finish its calls at the end."""
    keep = open_store(settings, clock)
    async with AsyncExitStack() as end:  # what is entered last ends first
        end.callback(keep.close)
        guard = Guard(Destinations(keep).allowed)
        drivers = await end.enter_async_context(drivers_of(settings, guard, clock))
        flights, books = Flights(), Books(keep)
        prices = Prices(lists=price_list(settings), now=clock.now)
        ways = Ways(keep, drivers, prices, rehearsal=settings.rehearsal)
        metrics = Metrics()
        engine = Engine(keep, ways, books, seconds=settings.model_timeout, sleep=clock.sleep, metrics=metrics)
        accounts, sign_ins = await end.enter_async_context(signing_in(keep, drivers, guard))
        hours, ready = settings.approval_hours, accounts.ready
        effects = Effects(
            keep,
            drivers,
            flights,
            approval_hours=hours,
            extended=books.forget,
            ready=ready,
            doubted=accounts.doubted,
        )
        place = SecondPlace(keep, effects, settings.audit_anchor)
        sign_on = await end.enter_async_context(signing_on(settings, keep, clock))
        rotations = Rotations(keep, master_key_file(settings))
        web = web_edge(
            keep,
            drivers,
            effects,
            verifier(clock.now),
            ways=ways,
            place=place,
            switches=Switches(keep, flights, books.forget),
            sign_on=sign_on,
            sign_ins=sign_ins,
            money=Money(keep, drivers, books, Trial(keep, drivers, ready).test, rehearsal=settings.rehearsal),
            rotations=rotations,
            rehearsal=settings.rehearsal,
            mails=bool(settings.smtp_url),
        )
        for ending in (books.drain, engine.drain, flights.drain, rotations.end):
            end.push_async_callback(ending)
        models, callers, door = (
            Models(keep, engine, flights, seconds=settings.model_timeout),
            KeyCallers(keep),
            partial(Door, engine),
        )
        boxes = await end.enter_async_context(
            sandboxes_served(
                settings, keep, drivers, guard, models=door, accounts=accounts, users=sandbox_users(settings)
            )
        )
        yield Gateway(
            keep=keep,
            place=place,
            flights=flights,
            rotations=rotations,
            accounts=accounts,
            boxes=boxes,
            callers=callers,
            web=web,
            worker=worker_edge(keep, models, effects, boxes, metrics),
            metrics=metrics,
            outside=Outside(door, callers.caller),
        )


@asynccontextmanager
async def listening(settings: Settings, gateway: Gateway) -> AsyncIterator[None]:
    """Answer on both sockets while the block lasts, and at the address for outside clients if there is one."""
    run = settings.data / "run"
    places = (
        (run / "gateway-web.sock", settings.gateway_web_group, gateway.web),
        (run / "gateway-worker.sock", settings.gateway_worker_group, gateway.worker),
    )
    listeners = [listen(path, group) for path, group, _ in places]
    servers: list[Server] = [_server(edge) for _, _, edge in places]
    if settings.gateway_address:
        listeners.append(listen_outside(settings.gateway_address))
        servers.append(_server(gateway.outside, Patient))
    # Whoever connects from here on waits in a listener's queue until its server is up.
    tasks = [
        asyncio.create_task(server.serve(sockets=[listener]))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    try:
        yield
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)
        for listener in listeners:
            listener.close()


async def serve(settings: Settings) -> None:
    """Be the gateway until told to stop."""
    failpoints.arm(settings.failpoint)
    clock = SystemClock()
    async with (
        composed(settings, clock) as gateway,
        listening(settings, gateway),
        exposed(settings, gateway.metrics, clock, above=GATEWAY),
    ):
        duties = [asyncio.create_task(duty) for duty in (*_duties(gateway, clock), gateway.rotations.resume())]
        gc.collect()
        gc.freeze()
        await stop_asked().wait()
        for duty in duties:
            duty.cancel()
        await gateway.keep.seal()


def main(settings: Settings) -> None:
    """Run the gateway process."""
    os.umask(0o077)  # whatever is made here is nobody else's
    close_off()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each sandbox that is awake is a socket to listen at
    folder = settings.data / "gateway"
    with alone(folder / "lock"):
        in_child(lambda: migrated(folder))
        run_process(settings, serve(settings))


def _server(app: Edge | Outside, http: type[HttpToolsProtocol] = HttpToolsProtocol) -> Server:
    config = uvicorn.Config(
        app,
        http=http,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=6,
    )
    return Server(config)


def _duties(gateway: Gateway, clock: Clock) -> list[Coroutine[Any, Any, None]]:
    keep = gateway.keep
    return [
        _often("Sweeping", SWEEP_SECONDS, lambda: keep.write(lambda tx: mending.sweep(tx, keep)), clock),
        _often("Sweeping the folders of sandboxes", SWEEP_SECONDS, lambda: keep.aside(gateway.boxes.sweep), clock),
        _often("Writing down which model keys were used", USED_SECONDS, gateway.callers.write_down, clock),
        _often("Looking after accounts", ACCOUNT_SECONDS, gateway.accounts.watch, clock),
        _often("Sealing the record", SEAL_SECONDS, keep.seal_new, clock),
        _often("Writing signed heads to the second place", PLACE_SECONDS, gateway.place.catch_up, clock),
    ]


async def _often(what: str, seconds: float, do: Callable[[], Awaitable[object]], clock: Clock) -> None:
    while True:
        try:
            await do()
        except Exception:
            log.exception("%s broke; it is tried again.", what)
            await clock.sleep(AGAIN_SECONDS)  # a full disk is not helped by a log that grows twice a second
        await clock.sleep(seconds)
