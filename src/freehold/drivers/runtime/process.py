"""
Sandboxes that are none: the guest as an ordinary process of ours, for development where bubblewrap cannot run.

It isolates nothing, and therefore refuses a second tenant.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final, final

from typing_extensions import override

from freehold import guest
from freehold.core.errors import Denied
from freehold.sandboxes.guest import LineGuest
from freehold.sandboxes.line import Line
from freehold.sandboxes.runtime import Finding, Guest, RuntimeDriver, SandboxSpec, Sighting

ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108
END_SECONDS: Final = 5.0
NO_ISOLATION: Final = Finding(
    what="The process runtime isolates nothing: commands of agents run as this user, and find no way to models.",
    remedy="Install bubblewrap and unset FREEHOLD_RUNTIME.",
)


@final
class ProcessRuntime(RuntimeDriver):
    """Runs guests as processes of ours."""

    name = "process"

    def __init__(self, data: Path) -> None:
        """Keep workspaces in the tenant's folder below `data`."""
        self._data = data
        self._awake: dict[str, tuple[SandboxSpec, subprocess.Popen[bytes], LineGuest]] = {}
        self._tenant: str | None = None

    @override
    async def wake(self, spec: SandboxSpec) -> Guest:
        if self._tenant not in {None, spec.tenant}:
            raise Denied(
                "The process runtime isolates nothing and serves one tenant only.",
                code="one_tenant_only",
                remedy="Use the bwrap runtime.",
            )
        self._tenant = spec.tenant
        await self.sleep(spec.id)
        folder = self._folder(spec.tenant, spec.workspace)
        folder.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603, ASYNC220 - it returns as soon as the process is there
                self._command(theirs.fileno(), folder, spec),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**ENVIRONMENT, "HOME": str(folder)},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        try:
            line = await Line.over(ours)
        except BaseException:
            process.kill()
            await asyncio.to_thread(process.wait)
            raise
        talk = LineGuest(line)
        self._awake[spec.id] = (spec, process, talk)
        return talk

    @override
    async def sleep(self, sandbox: str) -> None:
        awake = self._awake.pop(sandbox, None)
        if awake is not None:
            _, process, talk = awake
            await talk.close()
            await asyncio.to_thread(_wait, process)

    @override
    async def destroy(self, *, tenant: str, workspace: str) -> None:
        for sandbox, (spec, _, _) in list(self._awake.items()):
            if (spec.tenant, spec.workspace) == (tenant, workspace):
                await self.sleep(sandbox)
        folder = self._folder(tenant, workspace)
        if folder.is_dir():
            await asyncio.to_thread(_remove, folder)

    @override
    async def look(self) -> list[Sighting]:
        alive = [spec for spec, process, _ in self._awake.values() if process.poll() is None]
        return [Sighting(id=spec.id, tenant=spec.tenant) for spec in alive]

    @override
    async def check(self) -> list[Finding]:
        return [NO_ISOLATION]

    @override
    async def close(self) -> None:
        for sandbox in list(self._awake):
            await self.sleep(sandbox)

    def _folder(self, tenant: str, workspace: str) -> Path:
        return self._data / "tenants" / tenant / "workspaces" / workspace

    def _command(self, line: int, folder: Path, spec: SandboxSpec) -> list[str]:
        above = str(Path(guest.__path__[0]).parents[1])
        limits = json.dumps({"core": 0, "fsize": spec.limits.disk_mb << 20, "nofile": spec.limits.open_files})
        start = (
            f"import sys; sys.path.insert(0, {above!r}); from freehold.guest.start import main; "
            f"main({line}, {str(folder)!r}, {limits})"
        )
        return [sys.executable, "-I", "-S", "-c", start]


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for a guest whose line was cut: it kills what it started, and ends."""
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove(folder: Path) -> None:
    """Remove a workspace, with the folders in it that somebody has closed."""
    for above, names, _ in os.walk(folder):
        for name in names:
            below = Path(above, name)
            if not below.is_symlink():
                below.chmod(0o700)
    shutil.rmtree(folder)
