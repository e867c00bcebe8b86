"""
Keeping processes alive: start them, read what they say, start them again when they die, stop them in order.

Knows nothing of what the processes are for.
"""

import asyncio
import contextlib
import functools
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.app.children import Child

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 10.0
NOT_STARTED: Final = 127
"""The status of a process that could not be started, as shells say it."""
STEADY: Final = 30.0
"""Seconds after which a process counts as healthy, and its next death as a new story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process that shall always be there."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    """Of the first start."""
    environment_again: Mapping[str, str]
    """Of every later start."""
    folder: Path
    patience: float = 3.0
    """Seconds it gets to stop by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A process that ended by itself before the platform was ever ready: to start it again would not help."""

    name: str
    status: int


def pause_after(lived: float, before: float) -> float:
    """Return how long to wait before the next start of a process that lived so long; `before` was the last wait."""
    return FIRST_PAUSE if lived >= STEADY or not before else min(before * 2, LONGEST_PAUSE)


class Supervisor:
    """A few processes, kept alive."""

    def __init__(self, programs: Sequence[Program], *, say: Callable[[str, str], None]) -> None:
        """Keep `programs`, in the order they start; `say` gets each line of each by name."""
        self._programs = list(programs)
        self._tell = say
        self._running: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ready = False
        self._stopping = False
        self.refusal: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()
        """Done when a process ends by itself, with an error, before all were ready."""

    @property
    def pids(self) -> dict[str, int]:
        """Return the process ids, by name."""
        return {name: child.pid for name, child in self._running.items()}

    def start(self) -> None:
        """Start all."""
        for program in self._programs:
            self._tasks[program.name] = asyncio.create_task(self._keep(program), name=program.name)

    def ready(self) -> None:
        """Note that all answer: from now on whatever ends is started again."""
        self._ready = True

    async def stop(self) -> None:
        """Stop all, last started first; who does not stop in time is killed."""
        self._stopping = True
        for program in reversed(self._programs):
            await self._stop(program)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _stop(self, program: Program) -> None:
        child = self._running.get(program.name)
        if child is None or child.over:
            return
        child.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(child.ended(), program.patience)
        except TimeoutError:
            self._say(program.name, f"did not stop in {program.patience:g} s and is killed")
            child.signal(signal.SIGKILL)
            await child.ended()

    async def _keep(self, program: Program) -> None:
        loop = asyncio.get_running_loop()
        pause, environment = 0.0, program.environment
        while not self._stopping:
            began = loop.time()
            status = await self._once(program, environment)
            environment = program.environment_again
            if self._stopping:
                return
            if status > 0 and not self._ready:
                if not self.refusal.done():
                    self.refusal.set_result(Refusal(name=program.name, status=status))
                return
            pause = pause_after(loop.time() - began, pause)
            self._say(program.name, f"{_ended(status)}; starts again in {pause:g} s")
            await asyncio.sleep(pause)

    async def _once(self, program: Program, environment: Mapping[str, str]) -> int:
        say = functools.partial(self._say, program.name)
        try:
            child = Child(program.argv, environment=environment, folder=program.folder, say=say)
        except OSError as error:  # the machine has no process or memory left; it may have again
            say(f"cannot be started: {error.strerror or error}")
            return NOT_STARTED
        self._running[program.name] = child
        return await child.ended()

    def _say(self, name: str, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever listened is gone, and the processes are to live on
            self._tell(name, line)


def _ended(status: int) -> str:
    if status < 0:
        known = -status in set(signal.Signals)
        return f"was killed by {signal.Signals(-status).name if known else f'signal {-status}'}"
    return f"ended with status {status}"
