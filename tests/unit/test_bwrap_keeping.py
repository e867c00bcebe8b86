"""Whoever watches sandboxes goes on watching, whatever one of them does."""

import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from freehold.core.errors import FreeholdError
from freehold.drivers.runtime.bwrap import keeping
from freehold.drivers.runtime.bwrap.keeping import Keeper, Kept
from freehold.sandboxes.runtime import SandboxSpec

PATIENCE = 10.0


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    keeper = Keeper()
    yield keeper
    keeper.close()


def kept(folder: Path, number: int, ended: Callable[[FreeholdError], None]) -> Kept:
    process = subprocess.Popen(["sleep", "600"], stderr=subprocess.PIPE)
    spec = SandboxSpec(id=f"sbx_{number}", tenant="ten_1", uid=1, workspace="agt_1")
    workspace = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    return Kept(spec, process, os.pidfd_open(process.pid), workspace, None, ended)


def test_the_next_one_is_reaped_although_telling_of_the_first_broke(tmp_path: Path, keeper: Keeper) -> None:
    def broken(_reason: FreeholdError) -> None:
        raise ZeroDivisionError

    told: queue.Queue[FreeholdError] = queue.Queue()
    first, second = kept(tmp_path, 1, broken), kept(tmp_path, 2, told.put)
    for one in (first, second):
        keeper.add(one)
    first.kill()
    assert first.over.wait(PATIENCE)
    second.kill()
    assert second.over.wait(PATIENCE)
    assert told.get(timeout=PATIENCE).code == "sandbox_died"


def test_the_next_one_is_measured_although_the_first_could_not_be(
    tmp_path: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = threading.Event()

    def excess(_folder: int, _most: object) -> str:
        if measuring.pop():
            raise OSError(5, "Input/output error")
        measured.set()
        return ""

    measuring = [False, True]
    monkeypatch.setattr(keeping, "excess", excess)
    both = [kept(tmp_path, number, lambda _reason: None) for number in (1, 2)]
    for one in both:
        keeper.add(one)
    assert measured.wait(PATIENCE)
    for one in both:
        one.kill()
        assert one.over.wait(PATIENCE)


def test_one_that_has_ended_by_itself_can_still_be_killed(tmp_path: Path, keeper: Keeper) -> None:
    one = kept(tmp_path, 1, lambda _reason: None)
    keeper.add(one)
    one.process.kill()
    assert one.over.wait(PATIENCE)
    one.kill()
    assert one.pidfd == -1
