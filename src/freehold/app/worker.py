"""
The worker process: it carries runs out, keeps the clock over them, and sends their answers on.

One worker works on a data folder. It takes its place, brings the database up to date, takes over what its
predecessor had under way, and works until it is told to stop; then it finishes what it can within some seconds
and leaves the rest to its successor.
"""

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from freehold import failpoints
from freehold.app.agents import agents
from freehold.app.clock import SystemClock
from freehold.app.closing import close_off
from freehold.app.database import ids_of, open_database
from freehold.app.engine import open_engine
from freehold.app.exposing import WORKER, exposed
from freehold.app.serving import run_process, stop_asked
from freehold.audit import database as record
from freehold.audit import sealing
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, FreeholdError
from freehold.core.metrics import Metrics
from freehold.drivers.channel.webhook import WebhookChannel
from freehold.drivers.engine.dbos.driver import DbosDispatcher
from freehold.gateway.client import WorkerGateway
from freehold.ingress.relaying import Relay
from freehold.runs import clockwork, pausing, reconciling
from freehold.runs.ending import Closing
from freehold.runs.forgetting import Forgetting
from freehold.runs.nudging import Nudge, listen
from freehold.runs.segment import Body
from freehold.runs.segments import Segments
from freehold.settings import Settings
from freehold.store.looking import Look
from freehold.store.scope import Store
from freehold.store.threads import in_thread

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 2.0
"""How long segments may still go on once the worker was told to stop; whoever stops it gives it four in all."""
TIDY_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker put together, before it begins."""

    id: str
    settings: Settings
    store: Store
    clock: Clock
    closing: Closing
    dispatcher: DbosDispatcher
    segments: Segments
    relay: Relay
    forgetting: Forgetting
    web: Nudge
    metrics: Metrics

    async def work(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain."""
        await in_thread(self._take_place)
        await in_thread(self._reconcile)
        duties = [asyncio.create_task(duty) for duty in self._duties()]
        with listen(self.settings.data / "run" / "worker.sock", self._hear):
            await self.dispatcher.start(self.segments.carry)
            await in_thread(self._sign)
            gc.collect()
            gc.freeze()
            await stop.wait()
            await self.dispatcher.drain(GRACE_SECONDS)
        for duty in duties:
            duty.cancel()
        await asyncio.gather(*duties, return_exceptions=True)
        await in_thread(self._leave)

    def committed(self) -> None:
        """Tell everybody that something was committed: there may be segments to bring and answers to send."""
        self.dispatcher.kick()
        self.relay.wake()
        self.web.send({"events": True})

    def look(self) -> None:
        """Set what is counted only where somebody asks."""
        self.metrics.set("freehold_segments_under_way", len(self.segments.under_way()))

    def _duties(self) -> list[Any]:
        return [
            self._often(self.settings.lease / 3, self._sign),
            self._looks(clockwork.EVERY, self._ring),
            self._looks(sealing.EVERY, self._seal),
            self._looks(reconciling.EVERY, self._reconcile),
            self._looks(reconciling.EVERY, self._take_back),
            self._looks(reconciling.EVERY, self._put_in_place),
            self._often(TIDY_SECONDS, self.dispatcher.tidy),
            self._kept(self.forgetting.watch),
            self._kept(self.segments.watch),
            self._kept(self.relay.run),
        ]

    async def _often(self, seconds: float, do: Callable[[], object]) -> None:
        """Do it every so many seconds; what breaks is said and done again."""

        async def again() -> None:
            while True:
                await self.clock.sleep(seconds)
                await in_thread(do)

        await self._kept(again)

    async def _looks(self, seconds: float, do: Callable[[], float | None]) -> None:
        """
        Look every so many seconds whether there is work, where there may be some; what breaks is done again.

        There may be some after a commit, while segments are carried out, and after the seconds that `do` returns.
        """
        look = Look(self.store.database, self.clock)

        async def again() -> None:
            look.again()
            while True:
                await self.clock.sleep(seconds)
                if look.due() or self.segments.under_way():
                    soon = await in_thread(do)
                    if soon is not None:
                        look.within(soon)

        await self._kept(again)

    async def _kept(self, duty: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await duty()
            except FreeholdError as error:
                log.warning("%s It is tried again.", error.message)
            except Exception:
                log.exception("A duty of the worker broke; it is taken up again.")
            await self.clock.sleep(AGAIN_SECONDS)

    def _hear(self, told: dict[str, Any]) -> None:
        if "cancel" in told:
            self.segments.stop(str(told["cancel"]))
            self.relay.wake()  # its answer is in the outbox
        self.dispatcher.kick()

    def _take_place(self) -> None:
        """Write down that we are here; whoever was here before is dead, for we hold the lock."""
        taken = self.dispatcher.take_over(None)
        if taken:
            log.info("Took over %d segments of a worker that is gone.", taken)
        now = self.clock.now()
        with self.store.write() as platform:
            for gone in platform.workers.all():
                platform.workers.leave(gone)
            platform.workers.join(self.id, at=now)

    def _leave(self) -> None:
        with contextlib.suppress(FreeholdError), self.store.write() as platform:
            platform.workers.leave(self.id)

    def _sign(self) -> None:
        with self.store.write() as platform:
            platform.workers.seen(self.id, at=self.clock.now())

    def _ring(self) -> float | None:
        if clockwork.ring(self.store, self.closing.engine, clock=self.clock):
            self.committed()
        return clockwork.rings_in(self.store, clock=self.clock)

    def _seal(self) -> None:
        sealing.seal(self.store.database, record.table, store=record.STORE)

    def _take_back(self) -> None:
        taken = self.dispatcher.take_back()
        if taken:
            log.warning("Queued %d segments that were begun or ended without a trace.", taken)
            self.dispatcher.kick()

    def _put_in_place(self) -> None:
        if pausing.put_in_place(self.store, self.closing.engine, clock=self.clock):
            self.committed()

    def _reconcile(self) -> None:
        under_way = self.segments.under_way()
        mended = reconciling.reconcile(self.store, self.closing.engine, under_way=under_way, clock=self.clock)
        if mended:
            log.info("Queued %d segments that the engine did not know.", mended)
            self.committed()


@asynccontextmanager
async def composed(settings: Settings, clock: Clock, *, body: Body | None = None) -> AsyncIterator[Worker]:
    """Give a worker over `settings.data`; it carries runs out by `body`, or as agents."""
    async with AsyncExitStack() as stack:
        database = await in_thread(open_database, settings)
        stack.callback(database.close)
        engine = await in_thread(open_engine, settings, database)
        store, run = Store(database), settings.data / "run"
        ids = await in_thread(ids_of, store, clock)
        gateway, web = WorkerGateway(run / "gateway-worker.sock", user=settings.gateway_user), Nudge(run / "web.sock")
        stack.callback(web.close)
        stack.push_async_callback(gateway.close)
        if body is None:
            body = await stack.enter_async_context(agents(settings, store, clock, ids, gateway))
        worker = f"worker_{secrets.token_hex(8)}"
        closing = Closing(engine=engine, ids=ids, clock=clock, approval_hours=settings.approval_hours)
        metrics = Metrics()
        relay = Relay(store, gateway, {"webhook": WebhookChannel()}, clock=clock)
        yield Worker(
            id=worker,
            settings=settings,
            store=store,
            clock=clock,
            closing=closing,
            dispatcher=DbosDispatcher(database, worker=worker, at_once=settings.worker_runs, clock=clock),
            segments=Segments(store, body, closing, web=web, ended=relay.wake, metrics=metrics),
            relay=relay,
            forgetting=Forgetting(store, gateway.journaled, clock),
            web=web,
            metrics=metrics,
        )


async def serve(settings: Settings) -> None:
    """Be the worker until told to stop."""
    close_off()
    failpoints.arm(settings.failpoint)
    (settings.data / "run").mkdir(parents=True, exist_ok=True)
    with _alone(settings.data / "run" / "worker.lock"):
        async with (
            composed(settings, SystemClock()) as worker,
            exposed(settings, worker.metrics, worker.clock, above=WORKER, look=worker.look),
        ):
            await worker.work(stop_asked())


def main(settings: Settings) -> None:
    """Run the worker process."""
    run_process(settings, serve(settings))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the place of the one worker while the block lasts; raise `Conflict` if another holds it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        _lock(lock)
        yield
    finally:
        os.close(lock)


def _lock(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(
            "Another worker works on this data folder.",
            code="already_running",
            remedy="Stop it first, or set FREEHOLD_DATA to another folder.",
        ) from error
