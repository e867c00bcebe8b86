"""The worker's side: from a ticket to a committed ending, whatever happens in between."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from freehold import failpoints
from freehold.core.approvals import ApprovalState
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Exhausted, FreeholdError, NotFound, Unavailable
from freehold.core.metrics import Metrics
from freehold.core.parts import Part
from freehold.core.runs import Run, RunEvent, RunState
from freehold.runs.ending import Closing, conclude, fail
from freehold.runs.endings import Ending, Fail
from freehold.runs.engine import Ticket
from freehold.runs.measuring import queued_at
from freehold.runs.nudging import Nudge
from freehold.runs.pausing import WITH_TENANT, begun, pause
from freehold.runs.recording import RunJournal
from freehold.runs.segment import Body, Segment
from freehold.store.platform import Platform
from freehold.store.scope import Scope, Store
from freehold.store.threads import in_thread
from freehold.tenants.activity import is_active

log = logging.getLogger(__name__)

MAX_RESTARTS: Final = 5
"""How often a segment is begun again without any step getting done in between."""
LOOK: Final = 0.5
"""Seconds between two looks for runs that were stopped without a nudge."""
NO_ROOM_PAUSE: Final = 2.0
STUCK: Final = Fail(
    "stuck",
    f"The run was begun {MAX_RESTARTS} times over without getting any further, and was given up.",
    "See what the worker's log says about it; start a new run once the cause is gone.",
)
BUG: Final = Fail(
    "bug",
    "Something broke on our side while the run was carried out.",
    "The worker's log has the details; please report them.",
)


@dataclass(slots=True)
class _UnderWay:
    ticket: Ticket
    task: asyncio.Task[None]


@final
class Segments:
    """Carries segments out; one per worker."""

    def __init__(
        self,
        store: Store,
        body: Body,
        closing: Closing,
        *,
        web: Nudge,
        ended: Callable[[], None] = lambda: None,
        metrics: Metrics | None = None,
    ) -> None:
        """Carry out by `body`, tell `web` of every commit, and call `ended` once an ending is committed."""
        self._store, self._body, self._closing, self._web, self._ended = store, body, closing, web, ended
        self.metrics = metrics or Metrics()
        """What is counted of segments and their steps."""
        self._under_way: dict[str, _UnderWay] = {}
        self._some = asyncio.Event()

    @property
    def clock(self) -> Clock:
        """The time as segments see it."""
        return self._closing.clock

    def under_way(self) -> frozenset[str]:
        """Return the ids of the tickets that are being carried out here."""
        return frozenset(self._under_way)

    async def carry(self, ticket: Ticket) -> None:
        """
        Carry the segment out and commit its ending; one that is over or stopped is nothing to do.

        Cancelled itself, it stops and leaves the segment to whoever is brought it next.
        """
        if ticket.id in self._under_way:
            return
        task = asyncio.create_task(self._carry(ticket))
        self._under_way[ticket.id] = _UnderWay(ticket, task)
        self._some.set()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            del self._under_way[ticket.id]
            if not self._under_way:
                self._some.clear()
        if not task.cancelled():
            task.result()

    def stop(self, run: str) -> None:
        """Stop what is carried out for `run`, at once; the database said already that it is over."""
        for under_way in list(self._under_way.values()):
            if under_way.ticket.run == run:
                under_way.task.cancel()

    async def watch(self) -> None:
        """Stop what was cancelled, failed or paused without a nudge having come; runs until cancelled."""
        while True:
            await self._some.wait()
            await self.clock.sleep(LOOK)
            try:
                await self.look()
            except FreeholdError as error:
                log.warning("Cannot see which runs were stopped: %s", error.message)

    async def look(self) -> None:
        """Stop what the database says is over."""
        runs = [under_way.ticket.run for under_way in self._under_way.values()]
        if runs:
            for run in await in_thread(self._stopped, runs):
                self.stop(run)

    async def _carry(self, ticket: Ticket) -> None:
        while True:
            try:
                segment = await in_thread(self._begin, ticket)
                if segment is None:
                    return
                self._web.send({"events": True})
                ending = await self._ending(segment)
                if ending is not None:
                    await self._conclude(segment, ending)
            except Unavailable as error:
                log.warning("Run %s goes on in %.1f s: %s", ticket.run, error.after, error.message)
                await self.clock.sleep(error.after)
            except Exhausted as error:
                log.warning("Run %s waits for room: %s", ticket.run, error.message)
                self._store.database.make_room()  # it may be the gateway that has none
                await self.clock.sleep(NO_ROOM_PAUSE)
            else:
                return

    async def _ending(self, segment: Segment) -> Ending | None:
        """Return how the body ends, its bugs included; None if the run is not ours any more."""
        try:
            return await self._body(segment)
        except FreeholdError as error:
            if isinstance(error, Unavailable) or error.code == "disk_full":
                raise
            lost = isinstance(error, Conflict) and error.code in {"stale_epoch", "run_moved"}
            return None if lost else Fail(error.code, error.message, error.remedy)
        except Exception:
            log.exception("Run %s met a bug in segment %d.", segment.run.id, segment.run.segment)
            return BUG

    async def _conclude(self, segment: Segment, ending: Ending) -> None:
        """Commit the ending; as long as the database is busy or full, wait: the work is done and must not be lost."""
        while True:
            try:
                await in_thread(self._commit, segment, ending)
            except (Conflict, Unavailable, Exhausted) as error:
                if isinstance(error, Conflict):
                    return  # cancelled or taken over meanwhile
                log.warning("The end of run %s cannot be written: %s", segment.run.id, error.message)
                await self.clock.sleep(NO_ROOM_PAUSE)
            except Exception as error:
                if isinstance(ending, Fail):
                    raise
                ending = self._refused(segment, error)
            else:
                failpoints.reach("worker", "acknowledged")
                self._web.send({"events": True})
                self._ended()
                return

    def _refused(self, segment: Segment, error: Exception) -> Fail:
        """Return how a run fails whose ending could not be accepted."""
        if isinstance(error, FreeholdError):
            return Fail(error.code, error.message, error.remedy)
        log.error("The end of run %s cannot be written.", segment.run.id, exc_info=error)
        return BUG

    def _begin(self, ticket: Ticket) -> Segment | None:
        tenancy = self._store.tenant(ticket.tenant)
        with tenancy.write() as scope:
            owned = self._own(scope, ticket)
        if owned is None:
            return None
        run, repeated = owned
        with tenancy.read() as scope:
            steps = scope.steps.of(run.id) if repeated else []
            return Segment(
                tenant=Platform(scope.connection).tenants.find(ticket.tenant),
                run=run,
                version=scope.versions.find(run.version),
                clock=self.clock,
                repeated=repeated,
                earlier=_earlier(scope, run),
                signals=scope.signals.of(run.id),
                approvals=scope.approvals.of_run(run.id),
                journal=RunJournal(
                    tenancy,
                    run,
                    {step.key: step.result for step in steps},
                    clock=self.clock,
                    web=self._web,
                    metrics=self.metrics,
                ),
            )

    def _own(self, scope: Scope, ticket: Ticket) -> tuple[Run, bool] | None:
        """Make the run ours, and return it and whether somebody had it before; None if it is nobody's turn."""
        found = self._brought(scope, ticket)
        if found is None:
            return None
        again, repeated = begun(scope, found), found.state is RunState.RUNNING
        if repeated and scope.events.restarts(found.id) >= MAX_RESTARTS:
            fail(scope, self._closing.engine, found, STUCK, clock=self.clock)
            return None
        now = self.clock.now()
        if not repeated:
            self.metrics.observe("freehold_queue_wait_seconds", (now - queued_at(scope, found)).total_seconds())
        run = found.after(RunEvent.RESTART if repeated else RunEvent.START, at=now)
        scope.runs.move(run)
        told = {"segment": run.segment, "epoch": run.epoch}
        scope.events.append(run.id, "run.restarted" if repeated else "run.started", told, at=now)
        return run, repeated or again

    def _brought(self, scope: Scope, ticket: Ticket) -> Run | None:
        """Return the run of the ticket if its segment is to be carried out; one whose tenant stands still is paused."""
        try:
            found = scope.runs.get(ticket.run)
        except NotFound:
            return None
        if found.segment != ticket.segment or found.state not in {RunState.QUEUED, RunState.RUNNING}:
            return None
        if is_active(scope.connection, ticket.tenant):
            return found
        pause(scope, self._closing.engine, found, clock=self.clock, why=WITH_TENANT)  # suspended before we came
        return None

    def _commit(self, segment: Segment, ending: Ending) -> None:
        decided = [approval.id for approval in segment.approvals if approval.state is not ApprovalState.ASKED]
        heard = frozenset([str(signal["id"]) for signal in segment.signals] + decided)
        with self._store.tenant(segment.tenant.id).write() as scope:
            stands = conclude(scope, self._closing, segment.run, ending, heard=heard)
        if stands.ended_at is not None:
            took = (stands.ended_at - stands.created_at).total_seconds()
            self.metrics.observe("freehold_run_duration_seconds", took, state=str(stands.state))

    def _stopped(self, runs: list[str]) -> list[str]:
        with self._store.read() as platform:
            return platform.cancelled(runs)


def _earlier(scope: Scope, run: Run) -> list[Part]:
    turns = [] if run.conversation is None else scope.parts.of_earlier_turns(run.conversation, run.id)
    return turns + scope.parts.of_run(run.id, before_segment=run.segment)
