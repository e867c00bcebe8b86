"""
`freehold doctor`: looks at this machine and says what is missing or wrong, and what to do about it.

Needs no running platform and changes nothing.
"""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from freehold.app.readiness import health
from freehold.app.second_place import looked_at
from freehold.app.spawning import obstacles
from freehold.app.users import apart
from freehold.core.errors import FreeholdError
from freehold.drivers.runtime.bwrap.place import roots
from freehold.settings import Settings
from freehold.store.db import Database, sqlite_address
from freehold.store.migrating import MIGRATIONS, knows, newest, revision

OLDEST_PYTHON: Final = (3, 11)
SANDBOX_PYTHON: Final = "/usr/bin/python3"
SPARE_MB: Final = 200
"""Free space below which a start is not worth trying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the doctor saw at one place."""

    name: str
    ok: bool
    found: str
    remedy: str = ""

    def shown(self) -> dict[str, Any]:
        """Return it as JSON fields."""
        return asdict(self)


Look = Callable[[Settings], Iterator[Finding]]


def examine(settings: Settings) -> list[Finding]:
    """Return what every look found, in the order a person would mend it."""
    return [finding for look in LOOKS for finding in look(settings)]


def _python(settings: Settings) -> Iterator[Finding]:
    ok = sys.version_info >= OLDEST_PYTHON
    remedy = "" if ok else "Install it with Python 3.11 or newer."
    yield Finding(name="python", ok=ok, found=".".join(map(str, sys.version_info[:3])), remedy=remedy)


def _sandbox(settings: Settings) -> Iterator[Finding]:
    if settings.runtime != "bwrap":
        yield Finding(
            name="sandboxes",
            ok=True,
            found=f"the {settings.runtime} runtime isolates nothing and serves one tenant",
            remedy="Unset FREEHOLD_RUNTIME for real sandboxes.",
        )
        return
    program = shutil.which("bwrap")
    yield Finding(
        name="bubblewrap",
        ok=program is not None,
        found=program or "not installed",
        remedy="" if program else "Install it: apt-get install bubblewrap",
    )
    if program:
        yield _namespaces(settings)
    yield _interpreter()


def _namespaces(settings: Settings) -> Finding:
    for obstacle in obstacles(settings):
        return Finding(name="user namespaces", ok=False, found=obstacle.what, remedy=obstacle.remedy)
    return Finding(name="user namespaces", ok=True, found="a sandbox can be made")


def _interpreter() -> Finding:
    there = Path(SANDBOX_PYTHON).exists()
    return Finding(
        name="sandbox python",
        ok=there,
        found=SANDBOX_PYTHON if there else f"no {SANDBOX_PYTHON}",
        remedy="" if there else "Install it: apt-get install python3-minimal",
    )


def _certificates(settings: Settings) -> Iterator[Finding]:
    found = next(map(str, roots()), "")
    yield Finding(
        name="certificates",
        ok=bool(found),
        found=found or "this machine trusts none, so no server outside can be checked",
        remedy="" if found else "Install them: apt-get install ca-certificates",
    )


def _cgroups(settings: Settings) -> Iterator[Finding]:
    if os.geteuid() != 0 or not settings.sandbox_cgroups:
        why = "off by setting" if not settings.sandbox_cgroups else "not ours to use"
        yield Finding(
            name="cgroups",
            ok=True,
            found=f"{why}: rlimits bound each process, but nothing bounds a sandbox's memory as a whole",
            remedy="Start as root for memory limits per sandbox.",
        )
        return
    unified, split = Path("/sys/fs/cgroup/cgroup.controllers"), Path("/sys/fs/cgroup/memory")
    root = unified.parent if unified.exists() else split
    ok = root.is_dir() and os.access(root, os.W_OK)
    yield Finding(
        name="cgroups",
        ok=True,
        found=f"writable at {root}" if ok else "not writable: nothing bounds a sandbox's memory as a whole",
        remedy="" if ok else "In a container, give it a writable cgroup.",
    )


def _users(settings: Settings) -> Iterator[Finding]:
    program = shutil.which("setpriv")
    yield Finding(
        name="setpriv",
        ok=program is not None,
        found=program or "not installed",
        remedy="" if program else "Install it: apt-get install util-linux",
    )
    if os.geteuid() != 0:
        yield Finding(
            name="users",
            ok=True,
            found="one user for everything: what takes over web or worker can read the gateway's files",
            remedy="Start as root (see the systemd unit) to keep gateway, web and worker, and sandboxes apart.",
        )
        return
    users = apart(settings)
    yield Finding(
        name="users",
        ok=True,
        found=f"gateway {users.gateway.uid}, web and worker {users.worker.uid}, "
        f"sandboxes from {settings.sandbox_uid_base}",
    )


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = next(path for path in (settings.data, *settings.data.parents) if path.exists())
    writable = os.access(folder, os.W_OK | os.X_OK)
    yield Finding(
        name="data folder",
        ok=writable,
        found=f"{settings.data}" + ("" if folder == settings.data else " (not made yet)"),
        remedy="" if writable else f"Make {folder} writable for you, or set FREEHOLD_DATA.",
    )
    free = shutil.disk_usage(folder).free >> 20
    enough = free >= SPARE_MB + settings.reserve_mb
    yield Finding(name="disk", ok=enough, found=f"{free} MB free", remedy="" if enough else "Free space on this disk.")


def _keys(settings: Settings) -> Iterator[Finding]:
    master = Path(settings.master_key_file) if settings.master_key_file else settings.data / "gateway" / "master.key"
    for name, path in (("operator key", settings.data / "operator.key"), ("master key", master)):
        yield _key(name, path)


def _key(name: str, path: Path) -> Finding:
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        return Finding(name=name, ok=True, found=f"{path} is made at the first start")
    except PermissionError:
        return Finding(name=name, ok=True, found=f"{path} is closed to you, as it should be")
    ok = not mode & 0o077
    return Finding(
        name=name, ok=ok, found=f"{path} has mode {mode:04o}", remedy="" if ok else f"Close it: chmod 600 {path}"
    )


def _port(settings: Settings) -> Iterator[Finding]:
    if asyncio.run(health(settings.address)):
        yield Finding(name="address", ok=True, found=f"a platform answers at {settings.address}")
        return
    host, _, port = settings.address.rpartition(":")
    try:
        with socket.create_server((host.strip("[]"), int(port))):
            yield Finding(name="address", ok=True, found=f"{settings.address} is free")
    except (OSError, ValueError, OverflowError) as error:
        yield Finding(
            name="address",
            ok=False,
            found=f"{settings.address}: {error}",
            remedy="Stop what listens there, or set FREEHOLD_ADDRESS to another host:port.",
        )


def _models(settings: Settings) -> Iterator[Finding]:
    address = settings.gateway_address
    yield Finding(
        name="models",
        ok=True,
        found=f"programs with a model key call them at http://{address}/v1"
        if address
        else "no program outside calls any",
        remedy=""
        if address
        else "Set FREEHOLD_GATEWAY_ADDRESS, such as 127.0.0.1:7071, if model keys shall open them.",
    )


def _databases(settings: Settings) -> Iterator[Finding]:
    gateway = Path(__file__).parents[1] / "gateway" / "migrations"
    yield from _database("database", settings.data / "freehold.db", MIGRATIONS)
    yield from _database("gateway store", settings.data / "gateway" / "gateway.db", gateway)


def _database(name: str, path: Path, folder: Path) -> Iterator[Finding]:
    try:
        if not path.exists():
            yield Finding(name=name, ok=True, found="made at the first start")
            return
        database = Database(sqlite_address(path))
        current, code = revision(database), newest(folder)
        database.close()
    except (PermissionError, FreeholdError) as error:
        yield Finding(name=name, ok=False, found=f"{path}: {error}", remedy="Ask as the user who runs the platform.")
        return
    ok = current is None or knows(folder, current)
    yield Finding(
        name=name,
        ok=ok,
        found=f"at revision {current}, this version has {code}",
        remedy="" if ok else "Install the version of Freehold that wrote it, or a newer one.",
    )


def _audit_anchor(settings: Settings) -> Iterator[Finding]:
    ok, found, remedy = looked_at(settings.audit_anchor, apart(settings).gateway if os.geteuid() == 0 else None)
    yield Finding(name="audit anchor", ok=ok, found=found, remedy=remedy)


def _mail(settings: Settings) -> Iterator[Finding]:
    if settings.smtp_url:
        yield Finding(name="mail", ok=True, found="a mail server is stated")
    elif settings.on_loopback:
        yield Finding(name="mail", ok=True, found="no mail server: mail, and codes to sign in with, are printed")
    else:
        yield Finding(
            name="mail",
            ok=bool(settings.oidc_issuer),
            found="no mail server, and others reach this address: nobody is sent a code to sign in with",
            remedy="Set FREEHOLD_SMTP_URL.",
        )


LOOKS: Final[tuple[Look, ...]] = (
    _python,
    _sandbox,
    _certificates,
    _cgroups,
    _users,
    _disk,
    _keys,
    _port,
    _models,
    _databases,
    _audit_anchor,
    _mail,
)
