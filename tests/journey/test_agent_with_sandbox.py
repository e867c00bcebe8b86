"""A turn whose hands are real: a sandbox made with bubblewrap, and the gateway's book about what it did."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from freehold.agents.loop import body_of
from freehold.agents.sandbox_tools import SandboxTools
from freehold.app.clock import SystemClock
from freehold.app.runtime import open_runtime
from freehold.core.agents import Spec
from freehold.core.effects import Verdict
from freehold.core.ids import Ids
from freehold.runs.endings import Done
from freehold.sandboxes.runtime import Limits
from freehold.sandboxes.waking import Sandboxes
from freehold.settings import Settings
from freehold.testing.segments import Died, Stage
from tests.gateways import RUN, TENANT, Kit, running, work

pytestmark = pytest.mark.bwrap

TOOLS = ["shell", "write_file", "read_file", "list_files", "delete_file"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a data folder that the users of sandboxes can pass; pytest's own are closed to everybody else."""
    data = Path(tempfile.mkdtemp(prefix="freehold-"))
    data.chmod(0o711)
    yield data
    shutil.rmtree(data)


@pytest.fixture
async def kit(folder: Path) -> AsyncIterator[Kit]:
    async with running(folder, SystemClock()) as kit:
        await kit.publish("rehearsal", dict.fromkeys(TOOLS, "allow"))
        yield kit


@pytest.fixture
async def sandboxes(kit: Kit) -> AsyncIterator[Sandboxes]:
    clock = SystemClock()
    sandboxes = Sandboxes(
        open_runtime(Settings(data=kit.data, rehearsal=True)),
        new_id=Ids(clock.now),
        clock=clock,
        limits=Limits(),
        idle=60,
        wakes=2,
        report=kit.worker.sandbox_usage,
    )
    yield sandboxes
    await sandboxes.close()


@pytest.fixture
def stage(kit: Kit, sandboxes: Sandboxes) -> Stage:
    body = body_of(
        gateway=kit.worker,
        sandboxes=sandboxes,
        tools=[SandboxTools(kit.worker, sandboxes, timeout=20)],
        contexts=[],
        model_attempts=3,
    )
    return Stage(body, Spec(model="rehearsal", tools=dict.fromkeys(TOOLS, Verdict.ALLOW)))


def told(stage: Stage) -> list[object]:
    """Return what the model was told about its calls."""
    return [content["value"] for role, content in stage.said() if role == "result"]


async def test_it_writes_runs_and_reads(stage: Stage) -> None:
    ending = await stage.say("write a.py: print(6*7)\nrun: python3 a.py\nread a.py\ndelete a.py\nlist")
    assert isinstance(ending, Done)
    assert told(stage)[1:] == ["42", "print(6*7)", "a.py is deleted.", "(empty)"]


async def test_what_leads_out_of_the_workspace_is_an_error_and_the_run_goes_on(stage: Stage) -> None:
    ending = await stage.say("run: ln -s /etc/passwd out\nread out\nread ../../etc/passwd\nread missing")
    assert isinstance(ending, Done)
    codes = [value["error"]["code"] for value in told(stage) if isinstance(value, dict)]
    assert len(codes) == 3


async def test_the_sandbox_was_awake_and_that_is_accounted_for(stage: Stage, kit: Kit) -> None:
    await stage.say("run: true")
    rows = (await kit.web.usage(TENANT, run=RUN))["rows"]
    assert sum(row["wakes"] for row in rows) == 1


async def test_a_sandbox_that_is_killed_in_the_middle_costs_the_call_only(stage: Stage, sandboxes: Sandboxes) -> None:
    asked = asyncio.ensure_future(stage.say("run: touch begun; sleep 15\nrun: echo still here"))
    guest = None
    while guest is None or "begun" not in {entry.name for entry in await guest.list_files()}:
        await asyncio.sleep(0.05)
        guest = await sandboxes.awake(work(), 1) if stage.journal.begun[1:] else None
    await guest.close()
    assert isinstance(await asked, Done)
    first, second = told(stage)
    assert isinstance(first, dict)
    assert first["error"]["code"] == "sandbox_died"
    assert second == "still here"


async def test_a_command_that_ended_before_the_worker_died_tells_its_outcome_again(stage: Stage) -> None:
    stage.journal.dies_at = f"{RUN}/1/1/1"
    with pytest.raises(Died):
        await stage.say("run: date +%N >> times; wc -l < times")
    assert isinstance(await stage.again(), Done)
    assert told(stage) == ["1"]
