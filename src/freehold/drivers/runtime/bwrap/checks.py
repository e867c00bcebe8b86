"""What keeps this host from making sandboxes with bubblewrap, and the remedy for each."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from freehold.drivers.runtime.bwrap.argv import BWRAP, NO_SHARE, PYTHON, dropped
from freehold.drivers.runtime.bwrap.seccomp import MACHINES
from freehold.sandboxes.runtime import Finding

OLDEST: Final = (0, 8)
NOBODY: Final = 65534
SWITCHES: Final = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give bwrap an AppArmor profile that allows userns",
    ),
)
NO_CGROUPS: Final = Finding(
    what="Cgroups cannot be written: memory is limited per process only, not for a sandbox as a whole.",
    remedy="Start the platform as root or as a systemd unit with Delegate=yes.",
)


def look_at_host(*, limits_the_whole: bool) -> list[Finding]:
    """Return what is missing or wrong."""
    missing = _missing()
    if missing:
        return missing
    found = _trial()
    return found if limits_the_whole else [*found, NO_CGROUPS]


def _missing() -> list[Finding]:
    found = []
    if platform.machine() not in MACHINES:
        found.append(
            _fatal(f"There is no system call filter for {platform.machine()}.", f"Use {' or '.join(MACHINES)}.")
        )
    if not Path(PYTHON).exists():
        found.append(_fatal(f"{PYTHON} is missing; the guest runs under it.", "apt install python3"))
    if shutil.which(Path(BWRAP).name) is None or not Path(BWRAP).exists():  # who hides it does not want it used
        found.append(_fatal("bubblewrap is missing.", "apt install bubblewrap"))
    elif _version() < OLDEST:
        found.append(_fatal("bubblewrap is older than 0.8.", "Upgrade it: older ones allow namespaces inside."))
    if os.geteuid() == 0 and not Path("/usr/bin/setpriv").exists():
        found.append(_fatal("setpriv is missing; it gives sandboxes users of their own.", "apt install util-linux"))
    return found


def _version() -> tuple[int, ...]:
    said = subprocess.run([BWRAP, "--version"], check=False, capture_output=True, text=True).stdout  # noqa: S603
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])


def _trial() -> list[Finding]:
    """Make the smallest sandbox there is; when that fails, say which switch forbids it."""
    command = [BWRAP, *NO_SHARE, "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
               "--proc", "/proc", "--dev", "/dev", "/usr/bin/true"]  # fmt: skip
    if os.geteuid() == 0:
        command = dropped(NOBODY, command)
    tried = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/")  # noqa: S603
    if tried.returncode == 0:
        return []
    said = tried.stderr.strip()[-300:]
    for file, off, remedy in SWITCHES:
        if Path(file).exists() and Path(file).read_text().strip() == off:
            return [_fatal(f"User namespaces are switched off ({file} is {off}): {said}", remedy)]
    return [
        _fatal(f"bubblewrap cannot make a sandbox: {said}", "Allow user namespaces for ordinary users on this host.")
    ]


def _fatal(what: str, remedy: str) -> Finding:
    return Finding(what=what, remedy=remedy, fatal=True)
