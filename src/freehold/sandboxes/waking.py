"""One sandbox per run: woken by the step that needs it, put to sleep when nobody does, and accounted for."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, final

from typing_extensions import override

from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError, Unavailable
from freehold.core.ids import NewId
from freehold.gateway.client import Work
from freehold.sandboxes.runtime import (
    DEFAULT_CAP,
    DEFAULT_TIMEOUT,
    Ended,
    Entry,
    Guest,
    Limits,
    OnOutput,
    Port,
    RuntimeDriver,
    SandboxSpec,
    Stream,
)

DEAD: Final = frozenset({"sandbox_died", "workspace_full"})
"""Codes after which a sandbox may be gone; the next step that needs one gets a new one."""
SWEEP_SECONDS: Final = 5.0


class Report(Protocol):
    """Takes down what a sandbox used: `WorkerGateway.sandbox_usage`."""

    async def __call__(self, work: Work, *, sandbox: str, wakes: int, awake_ms: int, memory_mb: int) -> None:
        """Take it down; `Unavailable` has it offered again later."""
        ...


@dataclass(slots=True)
class _Awake:
    work: Work
    spec: SandboxSpec
    guest: "_Watched"
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
        limits: Limits,
        idle: float,
        wakes: int,
        report: Report,
    ) -> None:
        """Wake at most `wakes` at once with `driver`; put to sleep what nobody used for `idle` seconds."""
        self._driver, self._new_id, self._clock = driver, new_id, clock
        self._limits, self._idle, self._report = limits, idle, report
        self._waking = asyncio.Semaphore(wakes)
        self._places: dict[str, _Place] = {}
        self._owed: list[_Used] = []

    async def awake(self, work: Work, uid: int) -> Guest:
        """
        Return the guest of the run's sandbox, woken if need be; `uid` is the number of its tenant.

        Ask for it whenever it is needed and do not keep it: it may be put to sleep meanwhile.
        """
        place = self._places.setdefault(work.run, _Place())
        async with place.turn:
            if place.awake is not None and place.awake.guest.dead:
                await self._rest(place)
            if place.awake is None:
                place.awake = await self._wake(work, uid)
            place.awake.guest.used = self._clock.now()
            return place.awake.guest

    async def rest(self, run: str) -> None:
        """Put the run's sandbox to sleep, if it has one."""
        place = self._places.get(run)
        if place is None:
            return
        async with place.turn:
            await self._rest(place)
        if not place.turn.locked() and self._places.get(run) is place:
            del self._places[run]

    async def sweep(self) -> None:
        """Put to sleep what nobody used for a while, and report again what could not be reported."""
        for run, place in list(self._places.items()):
            awake = place.awake
            if awake is not None and not place.turn.locked() and self._idles(awake.guest):
                await self.rest(run)
        owed, self._owed = self._owed, []
        for used in owed:
            await self._account(used)

    async def keep(self) -> None:
        """Sweep for ever."""
        while True:
            await self._clock.sleep(min(SWEEP_SECONDS, self._idle))
            await self.sweep()

    async def close(self) -> None:
        """Put all of them to sleep."""
        for run in list(self._places):
            await self.rest(run)
        await self._driver.close()

    def _idles(self, guest: "_Watched") -> bool:
        unused = (self._clock.now() - guest.used).total_seconds()
        return guest.dead or (guest.busy == 0 and unused >= self._idle)

    async def _wake(self, work: Work, uid: int) -> _Awake:
        spec = SandboxSpec(
            id=self._new_id("sbx"), tenant=work.tenant, uid=uid, workspace=work.agent, limits=self._limits
        )
        async with self._waking:
            since = self._clock.now()
            guest = await self._driver.wake(spec)
        awake = _Awake(work, spec, _Watched(guest, self._clock), since)
        await self._account(_Used(work, spec.id, 1, 0, self._limits.memory_mb))
        return awake

    async def _rest(self, place: _Place) -> None:
        awake, place.awake = place.awake, None
        if awake is None:
            return
        try:
            await self._driver.sleep(awake.spec.id)
        finally:
            passed = self._clock.now() - awake.since
            ms = int(passed.total_seconds() * 1000)
            await self._account(_Used(awake.work, awake.spec.id, 0, ms, awake.spec.limits.memory_mb))

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


@final
class _Watched(Guest):
    """A guest that remembers when it was used last, and whether it is still of use."""

    def __init__(self, guest: Guest, clock: Clock) -> None:
        self._guest, self._clock = guest, clock
        self.used = clock.now()
        self.busy = 0
        self.dead = False

    @contextmanager
    def _use(self) -> Iterator[None]:
        self.busy += 1
        try:
            yield
        except FreeholdError as error:
            self.dead = self.dead or error.code in DEAD
            raise
        finally:
            self.busy -= 1
            self.used = self._clock.now()

    @override
    async def run(
        self,
        argv: Sequence[str],
        *,
        key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        stdin: bytes = b"",
        cap: int = DEFAULT_CAP,
        tty: bool = False,
        on_output: OnOutput | None = None,
    ) -> Ended:
        with self._use():
            return await self._guest.run(
                argv, key=key, timeout=timeout, stdin=stdin, cap=cap, tty=tty, on_output=on_output
            )

    @override
    async def stream(self, target: Sequence[str] | Port) -> Stream:
        with self._use():
            return _WatchedStream(await self._guest.stream(target), self)

    @override
    async def read_file(self, path: str, *, cap: int = DEFAULT_CAP) -> bytes:
        with self._use():
            return await self._guest.read_file(path, cap=cap)

    @override
    async def write_file(self, path: str, data: bytes) -> None:
        with self._use():
            await self._guest.write_file(path, data)

    @override
    async def list_files(self, path: str = ".") -> list[Entry]:
        with self._use():
            return await self._guest.list_files(path)

    @override
    async def delete_file(self, path: str) -> None:
        with self._use():
            await self._guest.delete_file(path)

    @override
    async def close(self) -> None:
        self.dead = True
        await self._guest.close()

    def hold(self) -> None:
        """Stay awake for an open stream."""
        self.busy += 1

    def release(self) -> None:
        """Let it go."""
        self.busy -= 1
        self.used = self._clock.now()


@final
class _WatchedStream(Stream):
    """A stream that keeps its sandbox awake while it is open."""

    def __init__(self, stream: Stream, watched: _Watched) -> None:
        self._stream, self._watched = stream, watched
        self._open = True
        watched.hold()

    @override
    async def read(self) -> bytes:
        return await self._stream.read()

    @override
    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    @override
    async def finish(self) -> None:
        await self._stream.finish()

    @override
    async def close(self) -> None:
        if self._open:
            self._open = False
            self._watched.release()
        await self._stream.close()
