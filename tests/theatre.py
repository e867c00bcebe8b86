"""A theatre for runs: a stage whose workers die, freeze and thaw, beside what must never be seen on it."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from freehold.core.approvals import Approval, ApprovalState
from freehold.core.errors import Conflict, Unavailable
from freehold.core.runs import FINAL, Run, WaitsFor
from freehold.runs.ending import Closing
from freehold.runs.endings import Child, Done, Ending, Fail, Park, Question
from freehold.runs.engine import Ticket
from freehold.runs.nudging import Nudge
from freehold.runs.reconciling import reconcile
from freehold.runs.segment import Result, Segment
from freehold.runs.segments import Segments
from freehold.store.db import Database, sqlite_address
from freehold.testing.engine import MemoryEngine
from tests.stages import ACME, SLOTS, Stage, set_over, set_up

TURNS = 5
"""Turns of the loop within which a commit becomes a segment."""
ACTS = ["done", "fail", "away", "lost", "ask", "ask twice", "impatient", "child", "ask and child", "sleep", "wait"]
"""What a plan may say of a segment."""


@cache
def furnished() -> Path:
    """Return a furnished database to copy."""
    folder = Path(tempfile.mkdtemp(prefix="stories-"))
    set_up(folder).store.database.close()
    return folder / "freehold.db"


class Worker:
    """One worker: an engine and what carries its segments, each of which waits at a gate until it may end."""

    def __init__(self, theatre: "Theatre") -> None:
        stage = theatre.stage
        self.theatre, self.engine = theatre, MemoryEngine(slots=SLOTS)
        closing = Closing(engine=self.engine, ids=stage.closing.ids, clock=stage.clock, approval_hours=1.0)
        self.segments = Segments(stage.store, theatre.play, closing, web=Nudge(theatre.folder / "web.sock"))

    async def carry(self, ticket: Ticket) -> None:
        with self.theatre.at_work():
            await self.segments.carry(ticket)

    def mend(self) -> None:
        reconcile(
            self.theatre.stage.store,
            self.engine,
            under_way=self.segments.under_way(),
            clock=self.theatre.stage.clock,
        )


class Theatre:
    """A stage whose workers die and freeze, beside what must never be seen on it."""

    def __init__(self, folder: Path) -> None:
        shutil.copy(furnished(), folder / "freehold.db")
        self.folder = folder
        self.runner = asyncio.Runner()
        self.stage: Stage = set_over(Database(sqlite_address(folder / "freehold.db")), folder)
        self.working = 0
        self.gates: list[asyncio.Event] = []
        self.open = False
        self.wrong: list[str] = []
        self.extra: set[asyncio.Task[None]] = set()
        self.frozen: list[Worker] = []
        self.worker = self.begin()

    @contextmanager
    def at_work(self, sign: int = 1) -> Iterator[None]:
        self.working += sign
        try:
            yield
        finally:
            self.working -= sign

    def do(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(doing)

    def begin(self) -> Worker:
        worker = Worker(self)
        self.stage.engine = worker.engine

        async def start() -> None:
            await worker.engine.start(worker.carry)

        self.do(start())
        return worker

    async def calm(self) -> None:
        """Return once nothing moves by itself: every segment under way waits at its gate."""
        still = 0
        while still < TURNS:
            await asyncio.sleep(0.0005 if self.working else 0)
            still = 0 if self.working else still + 1

    async def play(self, segment: Segment) -> Ending:
        self.look_at_the_turn(segment.run)
        await segment.step(key=f"{segment.run.id}/{segment.run.segment}/1/1", kind="tool", name="t", do=self.did)
        gate = asyncio.Event()
        if not self.open:
            self.gates.append(gate)
            with self.at_work(-1):
                await gate.wait()
        plan = json.loads(segment.run.input)
        act = plan[segment.run.segment - 1] if len(plan) >= segment.run.segment else "done"
        return ending(act, segment)

    async def did(self) -> Result:
        return {"value": 1}

    def look_at_the_turn(self, run: Run) -> None:
        earlier = [one for one in self.stage.runs() if one.conversation == run.conversation and one.id < run.id]
        if run.conversation and any(one.state not in FINAL for one in earlier):
            self.wrong.append(f"{run.id} went on before its turn")

    def asked(self) -> list[Approval]:
        with self.stage.store.tenant(ACME.id).read() as scope:
            return scope.approvals.all(state=ApprovalState.ASKED)

    def close(self) -> None:
        async def end() -> None:
            for task in self.extra:
                task.cancel()
            for worker in (self.worker, *self.frozen):
                await worker.engine.drain(0)

        self.do(end())
        self.runner.close()
        self.stage.store.database.close()
        shutil.rmtree(self.folder)


def ending(act: str, segment: Segment) -> Ending:
    """Return how a segment ends whose part of the plan is `act`."""
    run, now = segment.run, segment.clock.now()
    over = Done(f"by owner {run.epoch}")

    def asks(*numbers: int, **more: Any) -> Park:
        questions = tuple(
            Question(
                key=f"{run.id}/{run.segment}/1/{n}",
                call=f"c{n}",
                connection="sandbox",
                operation="o",
                arguments={},
                hash="h",
            )
            for n in numbers
        )
        return Park(waits_for=WaitsFor.PERSON, questions=questions, **more)

    def breaks(error: Exception) -> Ending:
        if segment.repeated:
            return over
        raise error

    children = (Child(call="c9", text=json.dumps(["ask"] if run.depth else ["child", "sleep"])),)
    acts: dict[str, Callable[[], Ending]] = {
        "fail": lambda: Fail("no", "It did not work."),
        "away": lambda: breaks(Unavailable("It is away.", after=0.1)),
        "lost": lambda: breaks(Conflict("It is another's.", code="stale_epoch")),
        "ask": lambda: asks(1),
        "ask twice": lambda: asks(1, 2),
        "impatient": lambda: asks(1, wake_at=now + timedelta(seconds=30)),
        "child": lambda: Park(waits_for=WaitsFor.CHILD, children=children),
        "ask and child": lambda: asks(1, children=children),
        "sleep": lambda: Park(waits_for=WaitsFor.TIME, wake_at=now + timedelta(seconds=60)),
        "wait": lambda: over if segment.signals else Park(waits_for=WaitsFor.PERSON),
    }
    return acts.get(act, lambda: over)()
