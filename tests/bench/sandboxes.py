"""How long a sandbox takes to wake and say something, and what it weighs while it waits."""

import asyncio
import os
import subprocess
import time
from pathlib import Path

from freehold.drivers.runtime.bwrap.argv import BWRAP
from freehold.drivers.runtime.bwrap.driver import BwrapRuntime, OwnMaking
from freehold.drivers.runtime.bwrap.making import Maker
from freehold.drivers.runtime.bwrap.place import Place
from freehold.sandboxes.runtime import SandboxSpec
from tests.bench.measuring import Figure, available_mb, descendants, figure, percentile, pss_mb

WAKES = 200
WARM_UP = 10
AWAKE = 50
ECHO = ["/bin/echo", "hello"]
UID_BASE = 200_000
BARE = [
    BWRAP, "--unshare-all", "--die-with-parent", "--as-pid-1", "--clearenv", "--ro-bind", "/usr", "/usr",
    "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
    "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", *ECHO,
]  # fmt: skip


def measure(folder: Path) -> list[Figure]:
    """Return the figures of sandboxes with workspaces in `folder`."""
    data = folder / "sandboxes"
    for above in (folder, data):
        above.mkdir(exist_ok=True)
        above.chmod(0o711)  # sandboxes are users of their own
    return asyncio.run(_measure(data))


async def _measure(data: Path) -> list[Figure]:
    runtime = BwrapRuntime(OwnMaking(Maker(Place(data, uid_base=UID_BASE))))
    try:
        return [*await _wakes(runtime), *await _weight(runtime)]
    finally:
        await runtime.close()


def spec(number: int) -> SandboxSpec:
    return SandboxSpec(id=f"sbx_{number}", tenant=f"ten_{number % 10}", uid=1 + number % 10, workspace="agt_1")


async def _wakes(runtime: BwrapRuntime) -> list[Figure]:
    ours, bare, again = [], [], []
    for number in range(WARM_UP + WAKES):
        began = time.perf_counter()
        guest = await runtime.wake(spec(number))
        ended = await guest.run(ECHO)
        ours.append((time.perf_counter() - began) * 1000)
        assert ended.stdout == b"hello\n"
        began = time.perf_counter()
        await guest.run(ECHO)
        again.append((time.perf_counter() - began) * 1000)
        await runtime.sleep(f"sbx_{number}")
        began = time.perf_counter()
        subprocess.run(BARE, check=True, capture_output=True)  # noqa: ASYNC221 - nothing else happens meanwhile
        bare.append((time.perf_counter() - began) * 1000)
    ours, bare, again = ours[WARM_UP:], bare[WARM_UP:], again[WARM_UP:]
    peer = "bare bwrap, same command"
    return [
        figure(
            "wake to first output, p50", percentile(ours, 50), "ms", WAKES, goal=40,
            peer=peer, peer_value=round(percentile(bare, 50), 2),
        ),
        figure(
            "wake to first output, p99", percentile(ours, 99), "ms", WAKES,
            peer=peer, peer_value=round(percentile(bare, 99), 2),
        ),
        figure("next command in an awake sandbox, p50", percentile(again, 50), "ms", WAKES),
    ]  # fmt: skip


async def _weight(runtime: BwrapRuntime) -> list[Figure]:
    before, others = available_mb(), descendants(os.getpid())
    guests = [await runtime.wake(spec(number)) for number in range(AWAKE)]
    await asyncio.gather(*(guest.run(ECHO) for guest in guests))
    await asyncio.sleep(2)
    pids = descendants(os.getpid()) - others
    figures = [
        figure("memory of an idle awake sandbox (PSS)", pss_mb(pids) / AWAKE, "MB", AWAKE, goal=5),
        figure("memory the machine lost per awake sandbox", (before - available_mb()) / AWAKE, "MB", AWAKE),
    ]
    for number in range(AWAKE):
        await runtime.sleep(f"sbx_{number}")
    return figures
