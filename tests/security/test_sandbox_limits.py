"""What happens when code inside a sandbox takes too much: it is stopped, and nobody else notices."""

import asyncio
import os

import pytest

from freehold.core.errors import Exhausted, FreeholdError, Unavailable
from tests.security.sandboxes import LIMITS, ROOT, Ground, data, ground, python, shell, tree_of

__all__ = ["data", "ground"]
pytestmark = pytest.mark.bwrap
BOMB = "f() { f | f & }; f; sleep 1"
HOG = "b = []\nfor _ in range({mb}):\n b.append(bytearray(b'x') * (1 << 20))\nprint(len(b))"
MANY = """
import os, time
count = 0
try:
    while os.fork():
        count += 1
    time.sleep(60)
except OSError:
    time.sleep(0.5)
    print(count)
"""
FILL = "i=0; while :; do i=$((i+1)); head -c 2000000 /dev/zero > f$i || sleep 0.1; done"


async def test_processes_run_out_inside_before_they_do_outside(ground: Ground) -> None:
    guest = await ground.wake()
    (outer,) = ground.processes()
    counting = asyncio.create_task(python(guest, MANY))
    most = 0
    while not counting.done():
        most = max(most, tree_of(outer))
        await asyncio.sleep(0.02)
    assert LIMITS.pids - 5 < int((await counting).stdout) < LIMITS.pids
    assert LIMITS.pids - 5 < most <= LIMITS.pids


async def test_a_sandbox_survives_a_fork_bomb(ground: Ground) -> None:
    guest = await ground.wake()
    await shell(guest, BOMB, seconds=2)
    assert (await shell(guest, "echo still here")).stdout == b"still here\n"


async def test_memory_runs_out_for_the_command_and_not_for_the_sandbox(ground: Ground) -> None:
    guest = await ground.wake()
    ended = await python(guest, HOG.format(mb=600))
    assert ended.exit != 0
    assert b"600" not in ended.stdout
    assert (await shell(guest, "echo still here")).stdout == b"still here\n"
    assert (await python(guest, HOG.format(mb=64))).stdout == b"64\n"


async def test_memory_of_all_commands_together_is_limited_where_there_are_cgroups(ground: Ground) -> None:
    guest = await ground.wake()
    hogs = [python(guest, HOG.format(mb=150) + "\nimport time; time.sleep(1)") for _ in range(4)]
    ended = await asyncio.gather(*hogs)
    assert any(one.exit != 0 for one in ended) == ground.whole


async def test_temporary_files_have_a_size(ground: Ground) -> None:
    guest = await ground.wake()
    for folder in ("/tmp", "/dev/shm"):
        ended = await shell(
            guest, f"head -c 40000000 /dev/zero > {folder}/big; stat -c %s {folder}/big; rm {folder}/big"
        )
        assert int(ended.stdout) <= LIMITS.tmp_mb << 20


async def test_a_file_larger_than_the_workspace_cannot_be_written(ground: Ground) -> None:
    guest = await ground.wake()
    ended = await shell(guest, "head -c 40000000 /dev/zero > big; stat -c %s big; rm big")
    assert int(ended.stdout) <= LIMITS.disk_mb << 20
    with pytest.raises(Exhausted) as full:
        await guest.write_file("big", bytes((LIMITS.disk_mb << 20) + 1))
    assert full.value.code == "workspace_full"
    assert [one.name for one in await guest.list_files() if one.name != "big"] == []


async def test_a_workspace_that_grows_too_large_ends_its_sandbox_and_can_be_tidied_up(ground: Ground) -> None:
    guest = await ground.wake()
    with pytest.raises(Exhausted) as full:
        await shell(guest, FILL, seconds=20)
    assert full.value.code == "workspace_full"
    guest = await ground.wake(name="sbx_2")
    with pytest.raises(Exhausted):
        await guest.write_file("more", b"x" * 1000)
    assert (await shell(guest, "head -c 1000 /dev/zero > more")).exit != 0
    assert (await shell(guest, "rm -f f*")).exit == 0
    await ground.runtime.sleep("sbx_2")
    guest = await ground.wake(name="sbx_3")
    await guest.write_file("more", b"x" * 1000)
    assert await guest.read_file("more") == b"x" * 1000


async def test_too_many_files_end_the_sandbox(ground: Ground) -> None:
    guest = await ground.wake()
    with pytest.raises(Exhausted):
        await python(
            guest,
            "import itertools, time\nfor i in itertools.count():\n open(f'f{i}', 'w').close()\n i % 3000 or time.sleep(.3)",
        )


async def test_a_link_to_something_large_does_not_count(ground: Ground) -> None:
    guest = await ground.wake()
    await shell(guest, "ln -s / root; ln -s /usr usr; sleep 0.6")
    assert (await shell(guest, "echo still here")).stdout == b"still here\n"


async def test_a_command_that_prints_for_ever_is_cut_and_ends_with_its_time(ground: Ground) -> None:
    guest = await ground.wake()
    ended = await guest.run(["yes"], timeout=0.5, cap=1000)
    assert ended.timed_out
    assert ended.cut
    assert len(ended.stdout) == 1000


async def test_a_neighbour_notices_nothing(ground: Ground) -> None:
    loud, quiet = await ground.wake(1), await ground.wake(2)
    noise = asyncio.create_task(shell(loud, BOMB, seconds=2))
    for _ in range(5):
        assert (await shell(quiet, "(echo a | cat); echo b")).stdout == b"a\nb\n"
    await noise


async def test_a_sandbox_that_is_killed_says_so_and_another_one_can_be_had(ground: Ground) -> None:
    guest = await ground.wake()
    running = asyncio.create_task(guest.run(["sleep", "987"]))
    await guest.run(["true"])
    (process,) = ground.processes()
    os.kill(process, 9)
    with pytest.raises(Unavailable) as died:
        await running
    assert died.value.code == "sandbox_died"
    assert (await (await ground.wake()).run(["true"])).exit == 0


async def test_nothing_is_left_of_a_sandbox_that_was_put_to_sleep(ground: Ground) -> None:
    guest = await ground.wake()
    await guest.run(["true"])
    (process,) = ground.processes()
    groups = [kept.cgroup for kept in ground.maker._awake.values()]
    await ground.runtime.sleep("sbx_1")
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert not [folder for group in groups if group is not None for folder in group.folders if folder.exists()]


async def test_cgroups_are_used_where_root_starts_the_platform(ground: Ground, request: pytest.FixtureRequest) -> None:
    assert ground.whole == (ROOT and "rlimits" not in request.node.name)


async def test_a_sandbox_on_a_full_error_path_leaves_nothing_behind(ground: Ground) -> None:
    blocked = ground.workspace()
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where a folder should be")
    with pytest.raises(FreeholdError):
        await ground.wake()
    assert ground.processes() == []
