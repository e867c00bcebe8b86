"""
Names of sockets in the data folder.

The kernel takes 107 bytes for the name of a socket, and a data folder may lie deeper than that; then the
socket is named by way of its folder's descriptor, which is always short.
"""

import os
from functools import cache
from pathlib import Path
from typing import Final

LONGEST: Final = 107


def fitting(path: Path) -> str:
    """Return a name of the socket at `path` that the kernel takes, however deep it lies."""
    name = str(path)
    if len(os.fsencode(name)) <= LONGEST:
        return name
    try:
        return f"/proc/self/fd/{_opened(path.parent)}/{path.name}"
    except OSError:
        return name  # no such folder: whoever binds or connects is told so


@cache
def _opened(folder: Path) -> int:
    return os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
