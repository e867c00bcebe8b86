"""
What a platform leaves behind whose `up` was killed: processes that are about to end, and sockets.

They end by themselves, because they die with who started them, but finish what they can first; whoever starts
right afterwards waits for them instead of being refused.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from freehold.app.address import bound
from freehold.core.errors import Invalid
from freehold.settings import Settings

PATIENCE: Final = 10.0
LOOK_SECONDS: Final = 0.1
LOCKS: Final = ("run/worker.lock", "gateway/lock")


def mark_of(settings: Settings) -> Path:
    """Return the file that says where a platform listens; one that stops in order removes it."""
    return settings.data / "run" / "address"


def mark(settings: Settings) -> None:
    """
    Say where we listen, for everybody to read.

    Others may write into the folder too, so what lies there is removed and never written through: it could be a link.
    """
    path = mark_of(settings)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(settings.address + "\n")
        os.fchmod(descriptor, 0o644)


def outlive(settings: Settings) -> None:
    """Wait until nothing of a platform that was killed is left, and remove its sockets."""
    if mark_of(settings).exists():
        until = time.monotonic() + PATIENCE
        while _is_there(settings) and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
        mark_of(settings).unlink(missing_ok=True)
    for path in (settings.data / "run").glob("*.sock"):
        path.unlink(missing_ok=True)  # from now on a socket means that somebody is there


def _is_there(settings: Settings) -> bool:
    return any(_held(settings.data / name) for name in LOCKS) or _listens(settings.address)


def _held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _listens(address: str) -> bool:
    try:
        bound(address).close()
    except Invalid as error:
        return error.code == "port_taken"
    return False
