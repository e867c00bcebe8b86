"""One sandbox per run: woken by the step that needs it, put to sleep when nobody does, and accounted for."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, final

from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError, Unavailable
from freehold.core.ids import NewId
from freehold.gateway.client import Work
from freehold.sandboxes.allowing import Allowance, AsSettings
from freehold.sandboxes.runtime import Guest, Limits, RuntimeDriver, SandboxSpec
from freehold.sandboxes.watching import Watched

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 5.0


class Report(Protocol):
    """Takes down what a sandbox used: `WorkerGateway.sandbox_usage`."""

    async def __call__(self, work: Work, *, sandbox: str, wakes: int, awake_ms: int, memory_mb: int) -> None:
        """Take it down; `Unavailable` has it offered again later."""
        ...


class Boxes(Protocol):
    """Listens for sandboxes, in the name of their runs: `WorkerGateway`."""

    async def open_box(self, work: Work, *, sandbox: str, uid: int, holder: str) -> bool:
        """Listen for one; the same again changes nothing, and says it to a gateway that was started anew."""
        ...

    async def close_box(self, sandbox: str) -> None:
        """Listen for one no more."""
        ...


@dataclass(slots=True)
class _Awake:
    work: Work
    spec: SandboxSpec
    guest: Watched
    since: datetime


@dataclass(slots=True)
class _Place:
    """What there is of one run, and whose turn it is to change that."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    awake: _Awake | None = None


@dataclass(frozen=True, slots=True)
class _Used:
    work: Work
    sandbox: str
    wakes: int
    awake_ms: int
    memory_mb: int


@final
class Sandboxes:
    """The sandboxes of one worker."""

    def __init__(
        self,
        driver: RuntimeDriver,
        *,
        new_id: NewId,
        clock: Clock,
        limits: Limits | Allowance,
        idle: float,
        wakes: int,
        report: Report,
        boxes: Boxes | None = None,
        name: str = "worker",
    ) -> None:
        """
        Wake at most `wakes` at once with `driver`; put to sleep what nobody used for `idle` seconds.

        `limits` are the same for all, or are asked for anew whenever a sandbox is woken. With `boxes`, each sandbox has
        a way to models where the driver can give it one; `name` is what we are, of which there is one at a time.
        """
        self._driver, self._new_id, self._clock = driver, new_id, clock
        self._allowed = AsSettings(limits) if isinstance(limits, Limits) else limits
        self._idle, self._report = idle, report
        self._boxes = boxes if driver.boxes else None
        self._holder = f"{name}/{new_id('sbx')}"
        self._waking = asyncio.Semaphore(wakes)
        self._places: dict[str, _Place] = {}
        self._owed: list[_Used] = []
        self._left: list[str] = []
        """Sandboxes that would not go to sleep."""
        self._listening: list[str] = []
        """Sandboxes that are asleep while the gateway may still listen for them."""

    async def awake(self, work: Work, uid: int) -> Guest:
        """
        Return the guest of the run's sandbox, woken if need be; `uid` is the number of its tenant.

        Ask for it whenever it is needed and do not keep it: it may be put to sleep meanwhile.
        """
        while True:
            place = self._places.setdefault(work.run, _Place())
            async with place.turn:
                if self._places.get(work.run) is place:  # else it was put away while we waited for our turn
                    return await self._woken(place, work, uid)

    async def rest(self, run: str) -> None:
        """Put the run's sandbox to sleep, if it has one."""
        place = self._places.get(run)
        if place is None:
            return
        async with place.turn:
            try:
                await self._rest(place)
            finally:
                if self._places.get(run) is place:
                    del self._places[run]

    async def forget(self, tenant: str, workspace: str) -> None:
        """Remove a tenant's workspace and everything in it; one that is not there is removed."""
        await self._driver.destroy(tenant=tenant, workspace=workspace)

    async def sweep(self) -> None:
        """Put to sleep what nobody used for a while or what would not sleep, and report what could not be reported."""
        left, self._left = self._left, []
        for sandbox in left:
            await self._asleep(sandbox)
        for run, place in list(self._places.items()):
            awake = place.awake
            if awake is not None and not place.turn.locked() and self._idles(awake.guest):
                with contextlib.suppress(FreeholdError):  # it is left to the next sweep
                    await self.rest(run)
        listening, self._listening = self._listening, []
        for sandbox in listening:
            await self._close_box(sandbox)
        owed, self._owed = self._owed, []
        for used in owed:
            await self._account(used)

    async def keep(self) -> None:
        """Sweep for ever."""
        while True:
            await self._clock.sleep(min(SWEEP_SECONDS, self._idle))
            try:
                await self.sweep()
            except Exception:
                log.exception("Sweeping the sandboxes broke; it is done again.")

    async def close(self) -> None:
        """Put all of them to sleep."""
        for run in list(self._places):
            await self.rest(run)
        await self._driver.close()

    def _idles(self, guest: Watched) -> bool:
        unused = (self._clock.now() - guest.used).total_seconds()
        return guest.dead or (guest.busy == 0 and unused >= self._idle)

    async def _woken(self, place: _Place, work: Work, uid: int) -> Watched:
        if place.awake is not None and place.awake.guest.dead:
            await self._rest(place)
        if place.awake is None:
            place.awake = awake = await self._wake(work, uid)
            await self._account(_Used(work, awake.spec.id, 1, 0, awake.spec.limits.memory_mb))
        elif (
            self._boxes is not None
        ):  # the run may have another epoch since, and the gateway may have been started anew
            await self._open_box(self._boxes, work, place.awake.spec)
        place.awake.guest.used = self._clock.now()
        return place.awake.guest

    async def _wake(self, work: Work, uid: int) -> _Awake:
        limits = await self._allowed(work.tenant)
        spec = SandboxSpec(
            id=self._new_id("sbx"),
            tenant=work.tenant,
            uid=uid,
            workspace=work.agent,
            limits=limits,
            box=self._boxes is not None,
        )
        async with self._waking:
            since = self._clock.now()
            try:
                if self._boxes is not None:
                    await self._boxes.open_box(work, sandbox=spec.id, uid=uid, holder=self._holder)
                guest = await self._driver.wake(spec)
            except BaseException:
                self._listening += [spec.id] if spec.box else []
                raise
        return _Awake(work, spec, Watched(guest, self._clock), since)

    async def _rest(self, place: _Place) -> None:
        awake, place.awake = place.awake, None
        if awake is None:
            return
        try:
            await self._driver.sleep(awake.spec.id)
        except FreeholdError:
            self._left.append(awake.spec.id)
            raise
        finally:
            await self._close_box(awake.spec.id)
            passed = self._clock.now() - awake.since
            ms = max(int(passed.total_seconds() * 1000), 0)  # the time of day may have been set back
            await self._account(_Used(awake.work, awake.spec.id, 0, ms, awake.spec.limits.memory_mb))

    async def _asleep(self, sandbox: str) -> None:
        try:
            await self._driver.sleep(sandbox)
        except FreeholdError as error:
            log.warning("Sandbox %s does not go to sleep: %s", sandbox, error.message)
            self._left.append(sandbox)

    async def _open_box(self, boxes: Boxes, work: Work, spec: SandboxSpec) -> None:
        with contextlib.suppress(Unavailable):  # the sandbox is awake; its programs are told that the gateway is away
            await boxes.open_box(work, sandbox=spec.id, uid=spec.uid, holder=self._holder)

    async def _close_box(self, sandbox: str) -> None:
        if self._boxes is None:
            return
        try:
            await self._boxes.close_box(sandbox)
        except Unavailable:
            self._listening.append(sandbox)
        except FreeholdError as error:
            log.warning("The gateway still listens for sandbox %s: %s", sandbox, error.message)

    async def _account(self, used: _Used) -> None:
        try:
            await self._report(
                used.work,
                sandbox=used.sandbox,
                wakes=used.wakes,
                awake_ms=used.awake_ms,
                memory_mb=used.memory_mb,
            )
        except Unavailable:
            self._owed.append(used)
        except FreeholdError as error:
            log.warning("What sandbox %s used is not taken down: %s", used.sandbox, error.message)
