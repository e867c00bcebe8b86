"""
Keeping sandboxes: one thread reaps those that ended, another ends those whose workspace grew too large.

A workspace is measured when the disk lost enough room for it to matter, and every few seconds anyway; between two looks a
sandbox can write more than its limit, which is then seen, and ends it.
"""

import contextlib
import logging
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

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.25
MEASURE_SECONDS: Final = 5.0
COST, COST_WHEN_GROWN = 20, 5
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
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)
    reason: FreeholdError | None = None
    full: bool = False
    """It was started in a workspace that is too full, to tidy up."""
    room: tuple[int, int] = (0, 0)
    """Bytes and files the disk had room for when the workspace was measured last."""
    measure_from: float = 0.0
    """When it may be measured again, on the monotonic clock."""
    measure_at: float = 0.0
    """When it is measured again even if the disk looks as before."""

    def kill(self, reason: FreeholdError | None = None) -> None:
        """End it; its namespaces end with it, and so does everything inside."""
        if reason is not None and self.reason is None:
            self.reason = reason
        with self.lock:
            if self.pidfd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def let_go(self) -> None:
        """Close its descriptor, which another sandbox may then be given the number of."""
        with self.lock:
            os.close(self.pidfd)
            self.pidfd = -1


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
        self._ended: list[Kept] = []
        self._look = threading.Event()
        self._threads = [
            threading.Thread(target=self._reap_all, name="sandbox-reaper", daemon=True),
            threading.Thread(target=self._measure_all, name="sandbox-measurer", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def add(self, kept: Kept) -> None:
        """Watch one more."""
        with self._lock:
            self._kept[kept.pidfd] = kept
            self._poll.register(kept.pidfd, select.POLLIN)
        self._nudge()
        self._look.set()

    def close(self) -> None:
        """Stop watching; what still lives is no longer ours to reap."""
        self._going = False
        self._nudge()
        self._look.set()
        for thread in self._threads:
            thread.join()
        for kept in self._ended:
            os.close(kept.workspace)
        os.close(self._wake)
        os.close(self._waker)

    def _nudge(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._waker, b".")

    def _reap_all(self) -> None:
        while self._going:
            for fd, _ in self._poll.poll():
                if fd == self._wake:
                    os.read(self._wake, 4096)
                else:
                    try:
                        self._reap(fd)
                    except Exception:  # the others are to be reaped all the same
                        log.exception("Reaping a sandbox broke.")

    def _measure_all(self) -> None:
        while self._going:
            self._look.clear()
            with self._lock:
                alive, ended, self._ended = list(self._kept.values()), self._ended, []
            for kept in ended:
                os.close(kept.workspace)  # here, so that it is never closed while it is measured
            for kept in alive:
                if not kept.full and kept.reason is None:
                    try:
                        _measure(kept, time.monotonic())
                    except Exception:  # the others are to be measured all the same
                        log.exception("The workspace of sandbox %s could not be measured.", kept.spec.id)
            self._look.wait(LOOK_SECONDS if alive else None)

    def _reap(self, pidfd: int) -> None:
        with self._lock:
            kept = self._kept.pop(pidfd)
            self._poll.unregister(pidfd)
        code = kept.process.wait()
        said = _last_words(kept.process)
        kept.let_go()
        with self._lock:
            self._ended.append(kept)
        self._look.set()
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
    if now < (kept.measure_from if grown else kept.measure_at):
        return
    kept.measure_at = now + MEASURE_SECONDS  # also where measuring breaks
    began = time.monotonic()
    too_much = excess(kept.workspace, most)
    took = time.monotonic() - began
    kept.room = room
    kept.measure_from = now + COST_WHEN_GROWN * took
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
