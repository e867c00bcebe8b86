"""What the probes of sandboxes share: three ways to make one, small limits, and how to ask inside."""

import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from freehold.drivers.runtime.bwrap.asking import AskedMaking
from freehold.drivers.runtime.bwrap.driver import BwrapRuntime, OwnMaking
from freehold.drivers.runtime.bwrap.making import Maker
from freehold.drivers.runtime.bwrap.place import Place
from freehold.drivers.runtime.bwrap.spawner import Spawner
from freehold.sandboxes.runtime import Ended, Guest, Limits, SandboxSpec

ROOT = os.geteuid() == 0
UID_BASE = 400_000 if ROOT else None
LIMITS = Limits(memory_mb=256, pids=64, disk_mb=24, files=2000, tmp_mb=16)
COLUMN = {"x86_64": 0, "aarch64": 1}[platform.machine()]


@dataclass(frozen=True)
class Ground:
    """One data folder, and who makes sandboxes in it."""

    data: Path
    maker: Maker
    runtime: BwrapRuntime
    whole: bool
    """Whether a sandbox is limited as a whole."""

    async def wake(self, tenant: int = 1, *, name: str = "", limits: Limits = LIMITS, box: bool = False) -> Guest:
        """Wake a sandbox of a tenant; with `box`, one that has a way to the gateway."""
        spec = SandboxSpec(
            id=name or f"sbx_{tenant}",
            tenant=f"ten_{tenant}",
            uid=tenant,
            workspace=f"agt_{tenant}",
            limits=limits,
            box=box,
        )
        return await self.runtime.wake(spec)

    def workspace(self, tenant: int = 1) -> Path:
        """Return where this host keeps the workspace."""
        return self.data / "tenants" / f"ten_{tenant}" / "workspaces" / f"agt_{tenant}"

    def processes(self) -> list[int]:
        """Return the processes that this host was told of: bubblewrap's own, one per sandbox."""
        return [kept.process.pid for kept in self.maker._awake.values()]


@pytest.fixture
def data() -> Iterator[Path]:
    """Give a data folder that the users of sandboxes can pass."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["cgroups", "rlimits", "spawner"])
async def ground(request: pytest.FixtureRequest, data: Path) -> AsyncIterator[Ground]:
    """Give each way of making sandboxes in turn."""
    maker = Maker(Place(data, uid_base=UID_BASE), cgroups=request.param != "rlimits")
    if request.param != "spawner":
        runtime = BwrapRuntime(OwnMaking(maker))
        yield Ground(data, maker, runtime, maker.limits_the_whole)
        await runtime.close()
        return
    spawner = Spawner(maker, data / "spawner.sock", user=os.geteuid(), group=os.getegid())
    spawner.start()
    runtime = BwrapRuntime(AskedMaking(data / "spawner.sock"))
    yield Ground(data, maker, runtime, maker.limits_the_whole)
    await runtime.close()
    spawner.stop()


async def shell(guest: Guest, script: str, *, seconds: float = 30) -> Ended:
    """Run a script inside."""
    return await guest.run(["sh", "-c", script], timeout=seconds)


async def python(guest: Guest, script: str, *, seconds: float = 30) -> Ended:
    """Run a Python program inside."""
    return await guest.run(["python3", "-I", "-c", script], timeout=seconds)


async def calls(guest: Guest, *wanted: tuple[int, ...]) -> list[int]:
    """Make system calls inside, each `(x86_64, aarch64, *arguments)`; return their error numbers, 0 for none."""
    table = [(one[COLUMN], *one[2:]) for one in wanted]
    script = (
        f"import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nfor one in {table!r}:\n"
        " r = c.syscall(*map(ctypes.c_long, one))\n print(ctypes.get_errno() if r == -1 else 0, flush=True)"
    )
    ended = await python(guest, script)
    said = [int(line) for line in ended.stdout.split()]
    return said if ended.exit == 0 else [*said, ended.exit]


def tree_of(pid: int) -> int:
    """Count the processes of the sandbox that process `pid` of this host is the outside of."""
    space = _space(_children(pid)[0])
    return sum(_space(int(one.name)) == space for one in Path("/proc").iterdir() if one.name.isdigit())


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _space(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def seen_from_here(pid: int) -> tuple[int, list[str]]:
    """Return the user a sandbox runs as, and the kinds of namespace it shares with us."""
    inner = _children(pid)[0]
    kinds = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
    shared = [kind for kind in kinds if _same(f"/proc/{inner}/ns/{kind}", f"/proc/self/ns/{kind}")]
    return Path(f"/proc/{inner}").stat().st_uid, shared


def _same(one: str, other: str) -> bool:
    return Path(one).readlink() == Path(other).readlink()
