"""
The reserve: a file that is dropped when the disk is full, so that what was accepted can still finish.

While it is gone nothing new is accepted; it is made again as soon as there is room for it twice over.
"""

import os
import threading
from pathlib import Path
from typing import Final, final

from freehold.core.errors import Exhausted

_MEGABYTE: Final = 1 << 20
_BLOCK: Final = b"\0" * _MEGABYTE


@final
class Reserve:
    """The reserve of one data folder. Threads and processes share it."""

    def __init__(self, path: Path, megabytes: int) -> None:
        """Keep `megabytes` at `path`; none means that a full disk is met without one."""
        self._path, self._megabytes = path, megabytes
        self._making = threading.Lock()

    def drop(self) -> None:
        """Give the room back, for accepted work."""
        self._path.unlink(missing_ok=True)

    def require(self) -> None:
        """Return if new work may be accepted; raise `Exhausted` (507, `disk_full`) while there is no room for it."""
        if self._megabytes == 0 or self._path.exists():
            return
        with self._making:
            if not self._path.exists() and not self._made():
                raise no_room("There is no room left on the disk, so nothing new is accepted.")

    def _made(self) -> bool:
        """Make the file and return True, or leave nothing and return False."""
        room = os.statvfs(self._path.parent)
        if room.f_bavail * room.f_frsize < 2 * self._megabytes * _MEGABYTE:
            return False
        made = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            with made.open("wb") as file:
                for _ in range(self._megabytes):
                    file.write(_BLOCK)
            made.replace(self._path)
        except OSError:
            made.unlink(missing_ok=True)
            return False
        return True


def no_room(message: str) -> Exhausted:
    """Return the error of a full disk, the same from everywhere."""
    return Exhausted(
        message,
        code="disk_full",
        status=507,
        remedy="Free space on the disk of the data folder, or make it writable, and try again.",
    )
