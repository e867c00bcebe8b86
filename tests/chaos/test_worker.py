"""A worker that dies loses nothing: its successor ends what it began, and repeats no step that was recorded."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from freehold.app.clock import SystemClock
from freehold.core.ids import Ids
from freehold.core.runs import FINAL, Run, RunState, Trigger
from freehold.drivers.engine.dbos.driver import DbosEngine, prepare
from freehold.runs.cancelling import cancel
from freehold.runs.nudging import Nudge
from freehold.runs.starting import start
from freehold.store.migrating import MIGRATIONS
from freehold.store.schema import metadata
from freehold.store.scope import Store
from tests.shelves import taken
from tests.stages import ACME, AGENT, furnish, said

WORKER = Path(__file__).parent / "scripted_worker.py"
PATIENCE = 40.0


class Web:
    """What web does, in this process: submits, looks and nudges."""

    def __init__(self, data: Path) -> None:
        self.data = data
        (data / "run").mkdir(parents=True)
        self.database = taken(MIGRATIONS, data / "freehold.db")
        prepare(self.database)
        self.engine = DbosEngine(self.database, slots=8)
        self.store, self.clock = Store(self.database), SystemClock()
        self.ids, self.nudge = Ids(self.clock.now), Nudge(data / "run" / "worker.sock")
        furnish(self.store)

    def start(self, text: str = "work") -> Run:
        with self.store.tenant(ACME.id).write() as scope:
            run = start(
                scope,
                self.engine,
                ids=self.ids,
                clock=self.clock,
                agent=AGENT,
                trigger=Trigger.API,
                input=said(text),
                attended=False,
                slots=8,
                run_hours=1,
            )
        self.nudge.send({"kick": True})
        return run

    def do(self, act: Callable[..., Any], **options: Any) -> Any:
        with self.store.tenant(ACME.id).write() as scope:
            return act(scope, self.engine, clock=self.clock, **options)

    def run(self, run: Run) -> Run:
        with self.store.tenant(ACME.id).read() as scope:
            return scope.runs.get(run.id)

    def events(self, run: Run) -> list[str]:
        with self.store.tenant(ACME.id).read() as scope:
            return [event["type"] for event in scope.events.of(run.id)]

    def done(self) -> Counter[str]:
        """Return how often each line was written."""
        path = self.data / "done"
        return Counter(path.read_text().splitlines() if path.exists() else [])

    def until_over(self, *runs: Run) -> None:
        wait_until(lambda: all(self.run(run).state in FINAL for run in runs))

    @contextmanager
    def worker(self, failpoint: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """Give a worker process, and end it afterwards."""
        process = subprocess.Popen([sys.executable, str(WORKER), str(self.data), failpoint])
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path / "data")
    yield web
    web.database.close()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("intent", marks=pytest.mark.long),
        pytest.param("sent", marks=pytest.mark.long),
        "answered",
        pytest.param("stored", marks=pytest.mark.long),
        pytest.param("acknowledged", marks=pytest.mark.long),
    ],
)
def test_a_killed_worker_loses_no_run_and_repeats_no_recorded_step(web: Web, point: str) -> None:
    runs = [web.start() for _ in range(3)]
    with web.worker(f"worker:{point}:2") as worker:
        assert worker.wait(PATIENCE) == -signal.SIGKILL
    recorded = {line for run in runs for line in steps_of(web, run)}
    before = web.done()
    with web.worker():
        web.until_over(*runs)
    assert [web.run(run).output for run in runs] == ["both"] * 3
    after = web.done()
    assert all(after[line] == before[line] == 1 for line in recorded), "a recorded step is never taken again"
    for run in runs:
        taken = [after[f"{run.id} {name}"] for name in ("one", "two")]
        assert sorted(taken) in ([1, 1], [1, 2]), "of each run only the step in flight was taken again"


def test_dropping_the_engines_tables_loses_nothing(web: Web) -> None:
    runs = [web.start() for _ in range(5)]
    with web.worker("worker:stored:3") as worker:
        assert worker.wait(PATIENCE) == -signal.SIGKILL
    with web.database.write() as connection:
        query = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
        for name in set(connection.execute(sa.text(query)).scalars()) - metadata.tables.keys() - {"alembic_version"}:
            connection.execute(sa.text(f'drop table "{name}"'))
    with web.worker():
        web.until_over(*runs)
    assert [web.run(run).output for run in runs] == ["both"] * 5


@pytest.mark.long
def test_a_run_that_kills_its_worker_is_given_up_and_takes_nobody_along(web: Web) -> None:
    poison = web.start("poison")
    for _ in range(6):
        with web.worker() as worker:
            assert worker.wait(PATIENCE) == -signal.SIGKILL
    harmless = web.start()
    with web.worker():
        web.until_over(poison, harmless)
    failed = web.run(poison)
    assert failed.error is not None
    assert failed.error["code"] == "stuck"
    assert web.run(harmless).output == "both"


def test_a_cancelled_run_stops_within_a_second_and_a_told_worker_leaves_the_rest(web: Web) -> None:
    long, other = web.start("long"), web.start("long")
    with web.worker() as worker:
        wait_until(lambda: sum(web.done().values()) == 2)
        began = time.monotonic()
        web.do(cancel, run=long.id, by="key:1")
        web.nudge.send({"cancel": long.id})
        wait_until(lambda: web.done()[f"{long.id} stopped"] == 1)
        assert time.monotonic() - began < 1
        again = web.start()
        web.until_over(again)
        worker.terminate()
        assert worker.wait(10) == 0
    assert web.run(long).state is RunState.CANCELLED
    assert web.run(other).state is RunState.RUNNING, "its successor begins it again"
    assert web.events(long)[-1] == "run.cancelled"


def steps_of(web: Web, run: Run) -> list[str]:
    with web.store.tenant(ACME.id).read() as scope:
        return [f"{run.id} {step.name}" for step in scope.steps.of(run.id)]
