"""A failpoint kills one process, at one point, the stated time."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from freehold import failpoints
from freehold.core.errors import Invalid


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("worker:sent:2", ("worker", "sent", 2)),
        ("gateway:intent-written:1", ("gateway", "intent", 1)),
        ("web:intent_written:1", ("web", "intent", 1)),
        ("web:intent written:1", ("web", "intent", 1)),
        ("sandbox:answered", ("sandbox", "answered", 1)),
    ],
)
def test_a_failpoint_is_process_point_and_count(spec: str, meant: tuple[str, str, int]) -> None:
    assert failpoints.read(spec) == meant


@pytest.mark.parametrize("spec", ["worker", "worker:lunch:1", "kitchen:sent:1", "worker:sent:often", ":::"])
def test_what_is_no_failpoint_is_refused(spec: str) -> None:
    with pytest.raises(Invalid):
        failpoints.read(spec)


def test_the_moment_comes_once_and_only_where_it_was_armed() -> None:
    failpoints.arm("sandbox:sent:2")
    seen = [failpoints.reached("sandbox", point) for point in ("sent", "stored", "sent", "sent")]
    assert seen == [False, False, True, False]


def test_an_unarmed_point_does_nothing() -> None:
    failpoints.reach("worker", "sent")


def test_a_process_that_reaches_its_point_is_killed() -> None:
    program = "from freehold import failpoints as f; f.arm('web:stored:1'); f.reach('web', 'stored'); print('alive')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""
