"""
Limits for a sandbox as a whole: memory, processes and processor time, by cgroup, where this machine lets us.

Both versions of cgroups are here. Version 1 (and hybrids) is tested by the suite where it is found; version 2 is written to
its documentation and was not tried on the machines this was made on.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.sandboxes.runtime import Limits

PERIOD: Final = 100_000
MB: Final = 1 << 20
OWN_PROCESSES: Final = 2
"""What a sandbox needs beside what runs in it: bubblewrap itself."""
CONTROLLERS: Final[tuple[str, ...]] = ("memory", "pids", "cpu")
_MINIMUM = {"memory", "pids"}


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The folders of one sandbox."""

    folders: tuple[Path, ...]
    version: int

    @property
    def doors(self) -> list[Path]:
        """
        Return the files through which a process of one thread joins when it writes a 0 into them.

        In version 1 a thread that moves itself, and only itself, needs no lock; moving whole processes takes one that
        costs some ten milliseconds when nobody has held it lately.
        """
        return [folder / ("tasks" if self.version == 1 else "cgroup.procs") for folder in self.folders]

    def remove(self) -> bool:
        """Remove the folders; return whether they are gone, which takes some milliseconds after the last process."""
        for folder in self.folders:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Where cgroups for sandboxes are made: one base per controller in version 1, one in version 2."""

    bases: dict[str, Path]
    version: int

    def make(self, name: str, limits: Limits) -> Cgroup:
        """Make the cgroup of one sandbox; raises OSError where that is not allowed."""
        made: list[Path] = []
        try:
            for controller, base in self.bases.items():
                _make_base(base, self.version)  # somebody who tidies up the host takes an empty one away
                folder = base / name
                folder.mkdir(exist_ok=True)
                made.append(folder)
                for file, value in _wanted(self.version, controller, limits).items():
                    _write(folder / file, value)
        except OSError:
            Cgroup(tuple(made), self.version).remove()
            raise
        return Cgroup(tuple(made), self.version)

    def close(self) -> None:
        """Remove the bases, if nothing is left in them."""
        Cgroup(tuple(self.bases.values()), self.version).remove()

    def sweep(self) -> None:
        """Remove what dead sandboxes left; what still has processes stays."""
        for base in self.bases.values():
            for folder in base.iterdir():
                if folder.is_dir():
                    Cgroup((folder,), self.version).remove()


def _wanted(version: int, controller: str, limits: Limits) -> dict[str, str]:
    quota = str(int(limits.cpus * PERIOD))
    pids = {"pids.max": str(limits.pids + OWN_PROCESSES)}
    memory = str(limits.memory_mb * MB)
    first = {
        "memory": {"memory.limit_in_bytes": memory, "?memory.memsw.limit_in_bytes": memory},
        "pids": pids,
        "cpu": {"cpu.cfs_quota_us": quota},
    }
    second = {
        "memory.max": memory,
        "?memory.swap.max": "0",
        "?memory.oom.group": "0",
        **pids,
        "?cpu.max": f"{quota} {PERIOD}",
    }
    return first[controller] if version == 1 else second


def _write(path: Path, value: str) -> None:
    optional = path.name.startswith("?")
    path = path.with_name(path.name.removeprefix("?"))
    if optional and not path.exists():
        return
    path.write_text(value)


def find(name: str, *, read: Callable[[str], str] = lambda path: Path(path).read_text()) -> Cgroups | None:
    """Return where sandboxes' cgroups can be made, below our own and under `name`; nothing when we may not."""
    mounts, own = _mounts(read("/proc/self/mountinfo")), _own(read("/proc/self/cgroup"))
    first = {one: _base(mounts[one], own[one], name) for one in CONTROLLERS if one in mounts and one in own}
    try:
        if set(first) >= _MINIMUM:
            return _prepared(Cgroups(first, 1))
        if "unified" in mounts and "" in own:
            base = _base(mounts["unified"], own[""], name)
            _delegate(base.parent)
            return _prepared(Cgroups({"unified": base}, 2))
    except OSError:
        return None
    return None


def _mounts(mountinfo: str) -> dict[str, Path]:
    """Return the mount point of every version 1 controller, and of version 2 under `unified`."""
    found: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        point = Path(before.split(" ")[4])
        if kind == "cgroup2":
            found["unified"] = point
        if kind == "cgroup":
            found |= dict.fromkeys(options.rsplit(" ", 1)[-1].split(","), point)
    return found


def _own(cgroup: str) -> dict[str, str]:
    """Return our own path per controller; version 2's has no name."""
    found: dict[str, str] = {}
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _base(mount: Path, own: str, name: str) -> Path:
    inside = mount / own.lstrip("/")
    return (inside if inside.is_dir() else mount) / name  # in a container the path may be the host's


def _delegate(own: Path) -> None:
    """Let children of our version 2 cgroup have limits, for which no process may be left in it itself."""
    if set((own / "cgroup.subtree_control").read_text().split()) >= _MINIMUM:
        return
    if (own / "cgroup.type").exists():  # the root has no type, and may keep its processes
        leaf = own / "freehold-platform"
        leaf.mkdir(exist_ok=True)
        for pid in (own / "cgroup.procs").read_text().split():
            (leaf / "cgroup.procs").write_text(pid)
    _enable(own)


def _enable(folder: Path) -> None:
    """Let the children of a version 2 cgroup have limits; on processor time only where that is ours to give."""
    (folder / "cgroup.subtree_control").write_text("+memory +pids")
    with contextlib.suppress(OSError):
        (folder / "cgroup.subtree_control").write_text("+cpu")


def _prepared(cgroups: Cgroups) -> Cgroups | None:
    for base in cgroups.bases.values():
        _make_base(base, cgroups.version)
        if not os.access(base, os.W_OK):
            return None
    cgroups.sweep()
    return cgroups


def _make_base(base: Path, version: int) -> None:
    try:
        base.mkdir()
    except FileExistsError:
        return
    if version != 1:
        _enable(base)
