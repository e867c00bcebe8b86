"""Processes are kept alive, told apart by how they end, and stopped in order."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from freehold.app.supervising import Program, Supervisor, pause_after

STAY = "import time; print('here', flush=True); time.sleep(600)"
REFUSE = "import sys; print('Error [port_taken] no'); sys.exit(1)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
LOUD = "import os, subprocess, time; subprocess.Popen(['sleep', '600']); print('said', flush=True); os.kill(os.getpid(), 9)"
NAMED = "import os, time; print(os.environ['NAME'], flush=True); time.sleep(600)"


def program(name: str, code: str, folder: Path, environment: Mapping[str, str] | None = None) -> Program:
    return Program(
        name=name,
        argv=[sys.executable, "-S", "-c", code],
        environment={"NAME": "first"} if environment is None else environment,
        environment_again={"NAME": "later"},
        folder=folder,
        patience=0.5,
    )


class Said:
    """What the processes said, and a way to wait for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self._changed.set()

    async def until(self, name: str, part: str) -> None:
        async with asyncio.timeout(20):
            while not any(who == name and part in line for who, line in self.lines):
                self._changed.clear()
                await self._changed.wait()


@pytest.mark.parametrize(
    ("lived", "before", "pause"),
    [(0.0, 0.0, 0.1), (0.0, 0.1, 0.2), (1.0, 0.8, 1.6), (1.0, 8.0, 10.0), (1.0, 10.0, 10.0), (31.0, 10.0, 0.1)],
)
def test_the_pause_doubles_up_to_ten_seconds_and_begins_anew_after_a_steady_life(
    lived: float, before: float, pause: float
) -> None:
    assert pause_after(lived, before) == pytest.approx(pause)


async def test_a_killed_process_is_started_again_with_its_later_environment(tmp_path: Path) -> None:
    said = Said()
    supervisor = Supervisor([program("one", NAMED, tmp_path)], say=said)
    supervisor.start()
    await said.until("one", "first")
    before = supervisor.pids["one"]
    os.kill(before, signal.SIGKILL)
    await said.until("one", "later")
    assert supervisor.pids["one"] != before
    assert not supervisor.refusal.done()
    await supervisor.stop()


async def test_what_refuses_to_start_is_reported_and_not_started_again(tmp_path: Path) -> None:
    said = Said()
    supervisor = Supervisor([program("one", REFUSE, tmp_path)], say=said)
    supervisor.start()
    refusal = await asyncio.wait_for(supervisor.refusal, 20)
    assert (refusal.name, refusal.status) == ("one", 1)
    assert ("one", "Error [port_taken] no") in said.lines
    await supervisor.stop()


async def test_what_ends_after_all_were_ready_is_started_again(tmp_path: Path) -> None:
    said = Said()
    supervisor = Supervisor([program("one", REFUSE, tmp_path)], say=said)
    supervisor.ready()
    supervisor.start()
    await said.until("one", "starts again in 0.2 s")
    assert not supervisor.refusal.done()
    await supervisor.stop()


async def test_a_death_is_seen_although_a_grandchild_holds_the_pipe(tmp_path: Path) -> None:
    said = Said()
    supervisor = Supervisor([program("one", LOUD, tmp_path)], say=said)
    supervisor.start()
    await said.until("one", "was killed by SIGKILL")
    assert ("one", "said") in said.lines
    await supervisor.stop()


async def test_all_stop_last_started_first_and_the_deaf_are_killed(tmp_path: Path) -> None:
    said = Said()
    supervisor = Supervisor([program("deaf", DEAF, tmp_path), program("other", STAY, tmp_path)], say=said)
    supervisor.start()
    await said.until("deaf", "here")
    await said.until("other", "here")
    pids = supervisor.pids
    await asyncio.wait_for(supervisor.stop(), 5)
    assert ("deaf", "did not stop in 0.5 s and is killed") in said.lines
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_who_cannot_be_started_is_tried_again_until_it_can(tmp_path: Path) -> None:
    said = Said()
    later = program("one", STAY, tmp_path / "later")
    supervisor = Supervisor([later], say=said)
    supervisor.ready()
    supervisor.start()
    await said.until("one", "cannot be started: No such file or directory")
    (tmp_path / "later").mkdir()
    await said.until("one", "here")
    await supervisor.stop()


async def test_processes_are_kept_alive_although_nobody_listens_any_more(tmp_path: Path) -> None:
    said = Said()

    def deaf(name: str, line: str) -> None:
        said(name, line)
        raise BrokenPipeError

    supervisor = Supervisor([program("one", NAMED, tmp_path)], say=deaf)
    supervisor.start()
    await said.until("one", "first")
    os.kill(supervisor.pids["one"], signal.SIGRTMIN + 1)
    await said.until("one", f"was killed by signal {signal.SIGRTMIN + 1}")
    await said.until("one", "later")
    await asyncio.wait_for(supervisor.stop(), 5)
