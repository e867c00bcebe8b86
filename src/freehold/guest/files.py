"""
Files of the workspace: read, write, list and delete.

A path is taken as the workspace's own; one that leads out of it, by dots or by a link, is refused. This keeps the answer
honest; that nothing else can be reached is the sandbox's doing, not ours.
"""

from __future__ import annotations

import os
import stat

from freehold.guest import frames
from freehold.guest.loop import Loop, Refused, Task, translated
from freehold.guest.steps import FOLDER

TYPE_CHECKING = False  # as the type checkers read it; importing typing would double the start
if TYPE_CHECKING:
    from typing import Any

MOST_ENTRIES = 5000
HOME = "/work"


def inside(root: str, path: str, *, follow: bool = True) -> str:
    """Return where `path` is, with every link on the way resolved; the last one only with `follow`."""
    if "\0" in path:
        raise Refused("outside_workspace", "A path has no zero bytes.")
    if path == HOME or path.startswith(HOME + "/"):
        path = path[len(HOME) :]
    elif path.startswith("/"):
        raise Refused("outside_workspace", f"{path} is not in {HOME}.")
    full = os.path.join(root, path.lstrip("/"))
    if follow:
        found = os.path.realpath(full)
    else:
        above, name = os.path.split(full.rstrip("/"))
        if name in {"", ".", ".."}:
            raise Refused("not_a_file", f"{path} is not a file.")
        found = os.path.join(os.path.realpath(above), name)
    if found != root and not found.startswith(root.rstrip("/") + "/"):
        raise Refused("outside_workspace", f"{path} leads out of the workspace.")
    if found == root + "/" + FOLDER or found.startswith(root + "/" + FOLDER + "/"):
        raise Refused("not_allowed", f"{FOLDER} is the platform's own.")
    return found


def read(loop: Loop, channel: int, ask: dict[str, Any], root: str) -> None:
    """Send a file's bytes; refuse one that has more than the cap, and what is no file."""
    path = inside(root, ask["path"])
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise translated(error, ask["path"]) from error
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise Refused(
                "is_a_folder" if stat.S_ISDIR(about.st_mode) else "not_a_file", f"{ask['path']} is not a file."
            )
        left = int(ask["cap"])
        if about.st_size > left:
            raise Refused("file_too_large", f"{ask['path']} has {about.st_size} bytes; at most {left} are read.")
        while left and (data := os.read(fd, min(left, frames.CHUNK))):
            left -= len(data)
            loop.send(frames.DATA, channel, data)
    finally:
        os.close(fd)
    loop.done(channel, {})


def listing(loop: Loop, channel: int, ask: dict[str, Any], root: str) -> None:
    """Answer with what is in a folder."""
    path = inside(root, ask["path"])
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise translated(error, ask["path"]) from error
    entries = []
    for name in names[:MOST_ENTRIES]:
        if path == root and name == FOLDER:
            continue
        try:
            about = os.lstat(os.path.join(path, name))
        except FileNotFoundError:
            continue  # it went away while we looked
        shown = name.encode("utf-8", "backslashreplace").decode()
        entries.append([shown, _kind(about.st_mode), about.st_size])
    loop.done(channel, {"entries": entries, "more": len(names) > MOST_ENTRIES})


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


def delete(loop: Loop, channel: int, ask: dict[str, Any], root: str) -> None:
    """Delete a file, a link or an empty folder."""
    path = inside(root, ask["path"], follow=False)
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError as error:
        raise translated(error, ask["path"]) from error
    loop.done(channel, {})


class Writing(Task):
    """A file that is being written: beside its place, and put there in one move when it is whole."""

    def __init__(self, loop: Loop, channel: int, ask: dict[str, Any], root: str) -> None:
        """Make the folders above it and open the file beside its place."""
        self._loop, self._channel, self._shown = loop, channel, str(ask["path"])
        self._path = inside(root, self._shown)
        if self._path == root:
            raise Refused("is_a_folder", f"{self._shown} is a folder.")
        self._beside = f"{self._path}.{channel}.part"
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            if os.path.isdir(self._path):
                raise Refused("is_a_folder", f"{self._shown} is a folder.")
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._beside, flags, 0o644)
        except OSError as error:
            raise translated(error, self._shown) from error

    def data(self, chunk: bytes) -> None:
        """Write the next piece."""
        try:
            left = memoryview(chunk)
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            self._give_up(error)

    def end(self) -> None:
        """Put the file in its place."""
        try:
            if os.path.exists(self._path):
                os.fchmod(self._fd, stat.S_IMODE(os.stat(self._path).st_mode))
            os.rename(self._beside, self._path)
        except OSError as error:
            self._give_up(error)
            return
        os.close(self._fd)
        self._loop.done(self._channel, {})

    def cancel(self) -> None:
        """Leave things as they were."""
        self._give_up(InterruptedError(4, "it was cancelled"))

    def _give_up(self, error: OSError) -> None:
        os.close(self._fd)
        if os.path.lexists(self._beside):
            os.unlink(self._beside)
        refused = translated(error, self._shown)
        self._loop.failed(self._channel, refused.code, refused.message)
