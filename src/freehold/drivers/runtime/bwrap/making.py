"""
Making sandboxes and ending them; blocking, from any thread.

bubblewrap ends a sandbox when the *thread* that started it ends, so one thread starts them all and lives as long as we do.
"""

import concurrent.futures
import os
import socket
import subprocess
import threading
from collections.abc import Callable
from typing import Final, final

from freehold.core.errors import FreeholdError, Unavailable
from freehold.drivers.runtime.bwrap.argv import BWRAP, bwrap_argv, dropped, guest_argv, joined, rlimits
from freehold.drivers.runtime.bwrap.cgroups import Cgroup, Cgroups, find
from freehold.drivers.runtime.bwrap.disk import Most, excess, remove
from freehold.drivers.runtime.bwrap.keeping import Keeper, Kept
from freehold.drivers.runtime.bwrap.place import Place, checked
from freehold.drivers.runtime.bwrap.seccomp import filter_fd
from freehold.sandboxes.runtime import SandboxSpec, Sighting

END_SECONDS: Final = 10.0

OnEnd = Callable[[FreeholdError], None]
"""Is told, from another thread, why a sandbox ended."""


@final
class Maker:
    """Starts sandboxes on this host and keeps them until they end."""

    def __init__(self, place: Place, *, cgroups: bool = True) -> None:
        """Make them in `place`; with `cgroups`, limit them as a whole where this host lets us."""
        self._place = place
        self._cgroups: Cgroups | None = find(place.name) if cgroups else None
        self._lock = threading.Lock()
        self._awake: dict[str, Kept] = {}
        self._full: set[tuple[str, str]] = set()
        self._starter = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="sandbox-starter")
        self._keeper = Keeper()

    @property
    def limits_the_whole(self) -> bool:
        """Whether there are cgroups to limit a sandbox as a whole."""
        return self._cgroups is not None

    def wake(self, spec: SandboxSpec, ended: OnEnd) -> socket.socket:
        """Start a sandbox and return our end of its line; one of the same name is ended first."""
        self.sleep(checked(spec.id))
        try:
            return self._starter.submit(self._start, spec, ended).result()
        except OSError as error:
            raise _not_made(error) from error

    def sleep(self, sandbox: str) -> None:
        """End a sandbox, and return when nothing of it is left."""
        with self._lock:
            kept = self._awake.get(sandbox)
        if kept is None:
            return
        kept.kill(Unavailable("The sandbox was put to sleep.", code="sandbox_died", after=0.0))
        if not kept.over.wait(END_SECONDS):
            raise Unavailable(f"Sandbox {sandbox} does not end.", code="sandbox_stuck")

    def destroy(self, tenant: str, workspace: str) -> None:
        """End what runs in a workspace and remove it."""
        with self._lock:
            there = [one.spec.id for one in self._awake.values() if _home(one.spec) == (tenant, workspace)]
        for sandbox in there:
            self.sleep(sandbox)
        above = self._place.workspaces(tenant)
        try:
            remove(above, checked(workspace))
        finally:
            os.close(above)
        self._full.discard((tenant, workspace))

    def look(self) -> list[Sighting]:
        """Return what is awake."""
        with self._lock:
            return [Sighting(id=one.spec.id, tenant=one.spec.tenant) for one in self._awake.values()]

    def close(self) -> None:
        """End everything."""
        for sighting in self.look():
            self.sleep(sighting.id)
        self._keeper.close()
        if self._cgroups is not None:
            self._cgroups.close()
        self._starter.shutdown()

    def _start(self, spec: SandboxSpec, ended: OnEnd) -> socket.socket:
        workspace = self._place.open(spec.tenant, spec.workspace, spec.uid)
        ours, theirs = socket.socketpair()
        seccomp = filter_fd()
        cgroup: Cgroup | None = None
        try:
            full = self._still_full(spec, workspace)
            cgroup = self._cgroups.make(spec.id, spec.limits) if self._cgroups else None
            fds = (theirs.fileno(), seccomp)
            process = self._run(self._command(spec, *fds, os.fstat(workspace), cgroup=cgroup, full=full), fds)
        except BaseException:
            ours.close()
            os.close(workspace)
            if cgroup is not None:
                cgroup.remove()
            raise
        finally:
            theirs.close()
            os.close(seccomp)
        kept = Kept(spec, process, os.pidfd_open(process.pid), workspace, cgroup, ended, full=full)
        kept.ended = lambda reason: self._over(kept, reason, ended)
        with self._lock:
            self._awake[spec.id] = kept
        self._keeper.add(kept)
        return ours

    def _command(
        self,
        spec: SandboxSpec,
        line: int,
        seccomp: int,
        workspace: os.stat_result,
        *,
        cgroup: Cgroup | None,
        full: bool,
    ) -> list[str]:
        guest, etc = self._place.shown()
        command = bwrap_argv(
            guest=guest,
            etc=etc,
            workspace=self._place.path(spec.tenant, spec.workspace),
            tmp_mb=spec.limits.tmp_mb,
            seccomp_fd=seccomp,
            command=guest_argv(
                line, rlimits(spec.limits, cgroup=cgroup is not None, full=full), workspace, way=spec.box
            ),
            box=self._place.box(spec.id) if spec.box else None,
        )
        uid = self._place.uid(spec.uid)
        return joined(cgroup.doors if cgroup else [], command if uid is None else dropped(uid, command))

    def _run(self, command: list[str], fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
        # Neither preexec_fn nor user=: either makes subprocess copy this whole process instead of sharing it.
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin"},
            pass_fds=fds,
            cwd="/",
            start_new_session=True,
        )

    def _still_full(self, spec: SandboxSpec, workspace: int) -> bool:
        """Return whether a workspace that was too full still is."""
        if _home(spec) not in self._full:
            return False
        if excess(workspace, Most(spec.limits.disk_mb << 20, spec.limits.files)):
            return True
        self._full.discard(_home(spec))
        return False

    def _over(self, kept: Kept, reason: FreeholdError, ended: OnEnd) -> None:
        with self._lock:
            if self._awake.get(kept.spec.id) is kept:
                del self._awake[kept.spec.id]
            if reason.code == "workspace_full":
                self._full.add(_home(kept.spec))
        ended(reason)


def _home(spec: SandboxSpec) -> tuple[str, str]:
    return spec.tenant, spec.workspace


def _not_made(error: OSError) -> Unavailable:
    return Unavailable(
        f"The sandbox could not be made: {error.strerror or error} ({error.filename or BWRAP}).",
        code="runtime_missing",
        remedy="See `freehold doctor`.",
    )
