"""The command that makes a sandbox, as a value, so that a test can read it."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from freehold.guest.way import PORT, SOCKET
from freehold.sandboxes.runtime import Limits

BWRAP: Final = "/usr/bin/bwrap"
PYTHON: Final = "/usr/bin/python3"
UID: Final = 1000
"""Who one is inside; outside it is the tenant's own user, or ours."""
ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/work", "LANG": "C.UTF-8"}
MODELS: Final = {
    "OPENAI_BASE_URL": f"http://127.0.0.1:{PORT}/v1", "OPENAI_API_KEY": "sandbox",
    "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{PORT}", "ANTHROPIC_API_KEY": "sandbox",
}  # fmt: skip
"""Where programs find models; the keys are words that clients want to see, and nobody reads them."""
ROOTS: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Whom programs inside trust to vouch for a server: those that this host trusts."""
_PROXY: Final = f"http://127.0.0.1:{PORT}"
OUTSIDE: Final = {
    "HTTPS_PROXY": _PROXY, "https_proxy": _PROXY, "HTTP_PROXY": _PROXY, "http_proxy": _PROXY,
    "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", "FREEHOLD_EGRESS": f"{_PROXY}/egress",
    "SSL_CERT_FILE": ROOTS,
}  # fmt: skip
"""Where programs find the way out; some read one spelling only. What nobody granted is refused there, and told why."""
TMP, VAR_TMP, SHARED = "/tmp", "/var/tmp", "/dev/shm"  # noqa: S108 - the sandbox's own
MB: Final = 1 << 20
NO_SHARE: Final = (
    "--unshare-all", "--unshare-user", "--disable-userns", "--uid", str(UID), "--gid", str(UID), "--cap-drop", "ALL",
    "--hostname", "sandbox", "--die-with-parent", "--as-pid-1", "--new-session", "--clearenv",
)  # fmt: skip


def bwrap_argv(
    *,
    guest: Path,
    etc: Path,
    workspace: Path,
    tmp_mb: int,
    seccomp_fd: int,
    command: Sequence[str],
    box: Path | None = None,
) -> list[str]:
    """
    Spell out the sandbox; `box` is the folder of its one socket, if it has one.

    Every bind comes before the root turns read-only; a size is for the next tmpfs alone.
    """
    size = str(tmp_mb * MB)
    variables = ENVIRONMENT if box is None else ENVIRONMENT | MODELS | OUTSIDE
    way = [] if box is None else ["--ro-bind", str(box), str(Path(SOCKET).parent)]
    environment = [word for name, value in variables.items() for word in ("--setenv", name, value)]
    links = [word for name in ("bin", "sbin", "lib", "lib64") for word in ("--symlink", f"usr/{name}", f"/{name}")]
    return [
        BWRAP, *NO_SHARE, *environment,
        "--ro-bind", "/usr", "/usr", *links, "--symlink", "../tmp", VAR_TMP,
        "--ro-bind", str(etc), "/etc", "--ro-bind", str(guest), "/freehold", *way,
        "--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", SHARED, "--remount-ro", "/dev",
        "--size", size, "--tmpfs", TMP, "--bind", str(workspace), "/work", "--remount-ro", "/",
        "--seccomp", str(seccomp_fd), "--chdir", "/work", "--", *command,
    ]  # fmt: skip


def guest_argv(line_fd: int, rlimits: dict[str, int], workspace: os.stat_result, *, way: bool = False) -> list[str]:
    """
    Return the command of the guest: the machine's own Python, without site, finding nothing but itself.

    It goes on only in the folder that `workspace` is about; with `way` it opens the port on which programs find models and the way out.
    """
    start = (
        "import sys; sys.path.insert(0, '/freehold'); from freehold.guest.start import main; "
        f"main({line_fd}, '/work', {json.dumps(rlimits)}, {[workspace.st_dev, workspace.st_ino]}{', way=True' if way else ''})"
    )
    return [PYTHON, "-I", "-S", "-c", start]


def rlimits(limits: Limits, *, cgroup: bool, full: bool = False) -> dict[str, int]:
    """
    Return the limits the guest takes on itself and leaves to all it starts.

    There is none on address space, which WebAssembly reserves by gigabytes; without a cgroup, writable memory of one
    process is limited instead. In a workspace that is too `full` nothing can grow, so that it can be tidied up.
    """
    chosen = {
        "core": 0,
        "fsize": 0 if full else limits.disk_mb * MB,
        "memlock": 8 * MB,
        "nofile": limits.open_files,
        "nproc": limits.pids,
    }
    return chosen if cgroup else {**chosen, "data": limits.memory_mb * MB}


def dropped(uid: int, command: list[str]) -> list[str]:
    """Return `command` as it is run by user and group `uid`, in no other group."""
    return ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *command]


def joined(doors: Sequence[Path], command: list[str]) -> list[str]:
    """Return `command` as it is run inside cgroups: it joins before anything it starts can be missed."""
    if not doors:
        return command
    script = "".join(f'echo 0 >"${at}" && ' for at in range(1, len(doors) + 1)) + f'shift {len(doors)} && exec "$@"'
    return ["/bin/sh", "-c", script, "sh", *map(str, doors), *command]
