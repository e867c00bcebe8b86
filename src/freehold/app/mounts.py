"""
A view of the files for users who may not pass everywhere.

Root's platform runs as users who cannot enter a home of mode 0700, yet the interpreter, the virtual
environment, the source or the data folder may lie in one. In a mount namespace of our own such a folder
is covered by an empty one that everybody may pass, and only what is needed is put back into it.
Nothing outside the namespace changes.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CLONE_NEWNS: Final = 0x00020000
MS_REC: Final = 0x4000
MS_BIND: Final = 0x1000
MS_PRIVATE: Final = 1 << 18
MS_NOSUID: Final = 2
MS_NODEV: Final = 4


def closed_above(path: Path) -> Path | None:
    """Return the topmost folder on the way to `path` that strangers may not pass, or None if all are open."""
    for folder in reversed(path.parents):
        mode = folder.stat().st_mode
        if stat.S_ISDIR(mode) and not mode & stat.S_IXOTH:
            return folder
    return None


def plan(needed: Iterable[Path]) -> dict[Path, list[Path]]:
    """Return which folders must be covered, and what must be put back into each."""
    covers: dict[Path, list[Path]] = {}
    for path in sorted({path.resolve() for path in needed}):
        top = closed_above(path)
        kept = covers.setdefault(top, []) if top is not None else None
        if kept is not None and not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return covers


def open_way(covers: dict[Path, list[Path]]) -> None:
    """
    Enter a mount namespace in which strangers can pass to what `covers` names.

    Only for a process with one thread. Raises `OSError` where the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.unshare(CLONE_NEWNS), "unshare")
    _mount(libc, "none", "/", flags=MS_REC | MS_PRIVATE)
    for top, kept in covers.items():
        held = [(path, os.open(path, os.O_PATH), path.is_dir()) for path in kept]
        _mount(libc, "freehold", str(top), kind="tmpfs", flags=MS_NOSUID | MS_NODEV, options="mode=0755,size=1m")
        for path, descriptor, folder in held:
            _put_back(libc, path, descriptor, folder=folder)


def _put_back(libc: ctypes.CDLL, path: Path, descriptor: int, *, folder: bool) -> None:
    _make_way(path if folder else path.parent)
    if not folder:
        path.touch()
    try:
        _mount(libc, f"/proc/self/fd/{descriptor}", str(path), flags=MS_BIND | MS_REC)
    finally:
        os.close(descriptor)


def _make_way(folder: Path) -> None:
    for each in [*reversed(folder.parents), folder]:
        if not each.exists():
            each.mkdir(mode=0o755)
            each.chmod(0o755)


def _mount(
    libc: ctypes.CDLL, source: str, target: str, *, flags: int, kind: str | None = None, options: str | None = None
) -> None:
    words = [text.encode() if text is not None else None for text in (source, target, kind)]
    data = options.encode() if options is not None else None
    _checked(libc.mount(*words, ctypes.c_ulong(flags), data), f"mount {target}")


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
