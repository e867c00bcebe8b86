"""
Which user each process is, and whose the data folder's parts are.

Started by root, the platform is three users: what the gateway keeps is closed to web and worker, and
sandboxes are one user per tenant. Started by anybody else it is one user, and nothing but the processes'
own walls keeps them apart.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.core.errors import Denied
from freehold.settings import Settings

PROCESSES: Final = ("gateway", "worker", "web")
"""In the order they start; they stop the other way round."""
BADGES: Final = (("wake_alarm", 35), ("net_bind_service", 10), ("lease", 28))
"""Capabilities that let nobody near another's files or memory, best first, with their numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user as the kernel sees one."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    badge: str = ""
    """
    A capability that is of no use but this: a process without it may not look into one that has it, though both be
    one user's. Being closed to tracing does not suffice, since a program closes itself only after it has begun.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who is who on this machine."""

    gateway: User
    worker: User
    web: User
    apart: bool
    """Whether they are different users."""

    def of(self, process: str) -> User:
        """Return the user of `process`."""
        return {"gateway": self.gateway, "worker": self.worker, "web": self.web}[process]


def apart(settings: Settings) -> Users:
    """Return the users of a platform that root starts."""
    gateway, service, web_group = (settings.service_uid_base + step for step in range(3))
    return Users(
        gateway=User(uid=gateway, gid=gateway, groups=(service, web_group)),
        worker=User(uid=service, gid=service),
        web=User(uid=service, gid=service, groups=(web_group,), badge=_badge()),
        apart=True,
    )


def _badge() -> str:
    """Return the first badge that we have to give; in a container some are missing."""
    held = re.search(r"^CapPrm:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    ours = int(held[1], 16) if held else 0
    return next((name for name, number in BADGES if ours >> number & 1), "")


def alone() -> Users:
    """Return the one user of a platform that an ordinary user starts."""
    me = User(uid=os.getuid(), gid=os.getgid(), groups=tuple(os.getgroups()))
    return Users(gateway=me, worker=me, web=me, apart=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One part of the data folder: where, for whom, and who may pass."""

    path: Path
    uid: int
    gid: int
    mode: int
    folder: bool = True
    mended: bool = True
    """Whether another mode is put right; of a key it is not: who could read it has it, and that must be told."""


def layout(data: Path, users: Users) -> list[Place]:
    """Return the data folder's parts as they must be, outermost first; files only if they are there."""
    return [*_folders(data, users), *_files(data, users)]


def _folders(data: Path, users: Users) -> Iterator[Place]:
    gateway, worker = users.gateway, users.worker
    root = 0 if users.apart else worker.uid
    shared, closed = (0o1771, 0o1770) if users.apart else (0o700, 0o700)
    yield Place(path=data, uid=root, gid=worker.gid, mode=shared)
    yield Place(path=data / "run", uid=root, gid=worker.gid, mode=closed)
    yield Place(path=data / "gateway", uid=gateway.uid, gid=gateway.gid, mode=0o700)
    yield Place(path=data / "box", uid=gateway.uid, gid=gateway.gid, mode=0o711 if users.apart else 0o700)
    yield Place(path=data / "sandbox", uid=root, gid=root if users.apart else worker.gid, mode=0o711)
    yield Place(path=data / "tenants", uid=worker.uid, gid=worker.gid, mode=0o711 if users.apart else 0o700)


def _files(data: Path, users: Users) -> Iterator[Place]:
    # They matter when a platform changes from one way of starting to the other.
    for path in [*sorted(data.glob("freehold.db*")), data / "reserve"]:
        yield Place(path=path, uid=users.worker.uid, gid=users.worker.gid, mode=0o660, folder=False)
    for path in sorted((data / "gateway").glob("*")):
        if not path.is_dir():
            mended = path.suffix != ".key"
            yield Place(
                path=path, uid=users.gateway.uid, gid=users.gateway.gid, mode=0o600, folder=False, mended=mended
            )


def lay_out(data: Path, users: Users) -> None:
    """Make the data folder as it must be; what is right already is left alone."""
    try:
        for place in _folders(data, users):
            place.path.mkdir(parents=True, exist_ok=True)
            _set(place)
        for place in _files(data, users):
            _set(place)
    except OSError as error:
        raise Denied(
            f"The data folder {data} cannot be made ready: {error.strerror} ({error.filename or data}).",
            code="data_folder_closed",
            remedy="Give the folder to the user who starts Freehold, or set FREEHOLD_DATA to another one.",
        ) from error


def _set(place: Place) -> None:
    try:
        # No following: the folder is open to several users, and root must not be led elsewhere.
        descriptor = os.open(place.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        found = os.fstat(descriptor)
        if not (stat.S_ISDIR(found.st_mode) if place.folder else stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
            # A second name of a file could be a hard link that a user of the folder laid to somebody else's.
            raise OSError(errno.EINVAL, "it is not what lies there", str(place.path))
        if (found.st_uid, found.st_gid) != (place.uid, place.gid):
            os.fchown(descriptor, place.uid, place.gid)
        if place.mended and found.st_mode & 0o7777 != place.mode:
            os.fchmod(descriptor, place.mode)
    finally:
        os.close(descriptor)


def command(user: User, words: list[str], *, switch: bool) -> list[str]:
    """
    Return `words` as a command that runs as `user` and dies with its starter.

    `setpriv` does both before the program begins, so that no program of ours is ever root by accident.
    """
    who = [f"--reuid={user.uid}", f"--regid={user.gid}"] if switch else []
    if switch:
        who.append(f"--groups={','.join(map(str, user.groups))}" if user.groups else "--clear-groups")
        caps = f"-all,+{user.badge}" if user.badge else "-all"
        who += [f"--inh-caps={caps}", f"--ambient-caps={caps}", "--no-new-privs"]
    return ["setpriv", *who, "--pdeathsig=TERM", "--", *words]
