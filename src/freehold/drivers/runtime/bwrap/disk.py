"""
How large a workspace is, and how it is removed, without ever following a link that somebody inside has made.

Every folder is opened by its name from the descriptor of the one above, links refused; no path is walked twice.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEEPEST: Final = 128
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Most:
    """What a workspace may hold."""

    bytes: int
    files: int


def excess(folder: int, most: Most) -> str:
    """Return in words what is too much in the folder, or nothing; stops looking as soon as it knows."""
    size = files = 0
    twins: set[int] = set()
    for depth, about in _walk(folder):
        files += 1
        if about.st_nlink > 1 and not stat.S_ISDIR(about.st_mode):
            if about.st_ino in twins:
                continue
            twins.add(about.st_ino)
        size += about.st_blocks * BLOCK
        if size > most.bytes:
            return f"it holds more than {most.bytes >> 20} MB"
        if files > most.files:
            return f"it holds more than {most.files} files"
        if depth > DEEPEST:
            return f"its folders are nested more than {DEEPEST} deep"
    return ""


def _walk(folder: int) -> Iterator[tuple[int, os.stat_result]]:
    """Yield the depth and the facts of everything below `folder`."""
    stack = [_entered(".", folder)]
    try:
        while stack:
            here, names = stack[-1]
            name = next(names, None)
            if name is None:
                os.close(stack.pop()[0])
                continue
            with contextlib.suppress(OSError):  # it went away, or changed into something else, while we looked
                about = os.stat(name, dir_fd=here, follow_symlinks=False)
                yield len(stack), about
                if stat.S_ISDIR(about.st_mode):
                    stack.append(_entered(name, here))
    finally:
        for fd, _ in stack:
            os.close(fd)


def _entered(name: str, above: int) -> tuple[int, Iterator[str]]:
    """Open a folder; return it and the names in it."""
    fd = enter(name, above)
    return fd, iter(_names(fd))


def enter(name: str, above: int) -> int:
    """Open folder `name` in `above`; one that somebody has closed to hide what is in it is opened again."""
    try:
        return os.open(name, FOLDER, dir_fd=above)
    except PermissionError:
        handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        try:
            Path(f"/proc/self/fd/{handle}").chmod(0o700)
        finally:
            os.close(handle)
        return os.open(name, FOLDER, dir_fd=above)


def _names(folder: int) -> list[str]:
    return os.listdir(folder)


def remove(above: int, name: str) -> None:
    """Remove folder `name` in `above` with all it holds, however deep that is; one that is not there is removed."""
    try:
        top = enter(name, above)
    except FileNotFoundError:
        return
    except OSError:
        os.unlink(name, dir_fd=above)
        return
    try:
        _empty(top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=above)


def _empty(top: int) -> None:
    os.fchmod(top, 0o700)
    count = 0
    while names := _names(top):
        for name in names:
            if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=top)
                continue
            folder = enter(name, top)
            try:
                count = _lift(folder, top, count)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)


def _lift(folder: int, top: int, count: int) -> int:
    """Unlink the files of `folder` and move its folders up to `top`: so depth costs neither descriptors nor stack."""
    os.fchmod(folder, 0o700)
    for name in _names(folder):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            count += 1
            os.close(enter(name, folder))  # only a folder one may write to can be moved
            os.rename(name, f".freehold-gone-{os.getpid()}-{count}", src_dir_fd=folder, dst_dir_fd=top)
        else:
            os.unlink(name, dir_fd=folder)
    return count
