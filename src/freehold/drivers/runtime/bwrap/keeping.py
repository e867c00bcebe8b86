"""
Keeping sandboxes: one thread that reaps those that ended and ends those whose workspace grew too large.

A workspace is measured when the disk lost enough room for it to matter, and every few seconds anyway; between two looks a
sandbox can write more than its limit, which is then seen, and ends it.
"""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, final

from freehold.core.errors import Exhausted, FreeholdError, Unavailable
from freehold.drivers.runtime.bwrap.cgroups import Cgroup
from freehold.drivers.runtime.bwrap.disk import Most, excess
from freehold.sandboxes.runtime import SandboxSpec

LOOK_SECONDS: Final = 0.25
MEASURE_SECONDS: Final = 5.0
COST: Final = 20
"""A workspace is measured again only after this many times what measuring it took."""
SAID: Final = 2000
REMOVE_TRIES: Final = 400


@dataclass(slots=True)
class Kept:
    """A sandbox that was started."""

    spec: SandboxSpec
    process: subprocess.Popen[bytes]
    pidfd: int
    workspace: int
    """A descriptor of the folder, so that no name is looked up again."""
    cgroup: Cgroup | None
    ended: Callable[[FreeholdError], None]
    over: threading.Event = field(default_factory=threading.Event)
    reason: FreeholdError | None = None
    full: bool = False
    """It was started in a workspace that is too full, to tidy up."""
    room: tuple[int, int] = (0, 0)
    """Bytes and files the disk had room for when the workspace was measured last."""
    measure_at: float = 0.0

    def kill(self, reason: FreeholdError | None = None) -> None:
        """End it; its namespaces end with it, and so does everything inside."""
        if reason is not None and self.reason is None:
            self.reason = reason
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)


@final
class Keeper:
    """Watches what was started until it has ended."""

    def __init__(self) -> None:
        """Start watching."""
        self._poll = select.poll()
        self._lock = threading.Lock()
        self._kept: dict[int, Kept] = {}
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll.register(self._wake, select.POLLIN)
        self._going = True
        self._thread = threading.Thread(target=self._keep, name="sandbox-keeper", daemon=True)
        self._thread.start()

    def add(self, kept: Kept) -> None:
        """Watch one more."""
        with self._lock:
            self._kept[kept.pidfd] = kept
            self._poll.register(kept.pidfd, select.POLLIN)
        self._nudge()

    def close(self) -> None:
        """Stop watching; what still lives is no longer ours to reap."""
        self._going = False
        self._nudge()
        self._thread.join()
        os.close(self._wake)
        os.close(self._waker)

    def _nudge(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._waker, b".")

    def _keep(self) -> None:
        while self._going:
            for fd, _ in self._poll.poll(LOOK_SECONDS * 1000 if self._kept else None):
                if fd == self._wake:
                    os.read(self._wake, 4096)
                else:
                    self._reap(fd)
            now = time.monotonic()
            with self._lock:
                alive = list(self._kept.values())
            for kept in alive:
                if not kept.full and kept.reason is None:
                    _measure(kept, now)

    def _reap(self, pidfd: int) -> None:
        with self._lock:
            kept = self._kept.pop(pidfd)
            self._poll.unregister(pidfd)
        code = kept.process.wait()
        said = _last_words(kept.process)
        os.close(kept.workspace)
        os.close(pidfd)
        if kept.cgroup is not None:
            _remove(kept.cgroup)
        ended = f"bubblewrap ended with {code}" + (f": {said}" if said else "")
        kept.reason = kept.reason or Unavailable(f"The sandbox ended ({ended}).", code="sandbox_died", after=1.0)
        kept.over.set()
        kept.ended(kept.reason)


def _last_words(process: subprocess.Popen[bytes]) -> str:
    """Return what bubblewrap had to say; the guest has let go of this pipe before anybody else could write to it."""
    if process.stderr is None:
        return ""
    os.set_blocking(process.stderr.fileno(), False)
    with process.stderr as pipe:
        said = pipe.read(SAID) or b""
    return said.decode(errors="replace").strip().replace("\n", " ")


def _remove(cgroup: Cgroup) -> None:
    """Remove the folders, which the kernel allows some milliseconds after the last process is gone."""
    for _ in range(REMOVE_TRIES):
        if cgroup.remove():
            return
        time.sleep(0.002)


def _measure(kept: Kept, now: float) -> None:
    disk = os.fstatvfs(kept.workspace)
    room = (disk.f_bavail * disk.f_frsize, disk.f_favail)
    most = Most(kept.spec.limits.disk_mb << 20, kept.spec.limits.files)
    grown = kept.room[0] - room[0] > most.bytes // 8 or kept.room[1] - room[1] > most.files // 8
    if now < kept.measure_at and not grown:
        return
    began = time.monotonic()
    too_much = excess(kept.workspace, most)
    took = time.monotonic() - began
    kept.room = room
    kept.measure_at = now + max(MEASURE_SECONDS, COST * took)
    if too_much:
        kept.kill(
            Exhausted(
                f"The sandbox was stopped because its workspace is too large: {too_much}.",
                code="workspace_full",
                status=507,
                remedy="Delete files in the workspace; until then nothing in it can grow.",
            )
        )
