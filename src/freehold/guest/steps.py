"""
A command with a key is begun at most once: a mark in the workspace is made before it starts.

Who finds the mark without an outcome beside it learns that the command began and nobody knows how it ended.
"""

import os

from freehold.guest import cheap
from freehold.guest.loop import Refused

FOLDER = ".freehold"
MOST = 1000
OLDEST = 7 * 24 * 3600
STORED = 1 << 18
"""How much of an outcome's output is kept."""


class Step:
    """The mark of one key, made; `stored` has what an earlier command with this key left."""

    def __init__(self, root: str, name: str) -> None:
        """Make the mark `name`, 64 hexadecimal digits, or find it."""
        if len(name) != 64 or set(name) - set("0123456789abcdef"):  # noqa: PLR2004
            raise Refused("bad_step", "A step is named by 64 hexadecimal digits.")
        self._name = name
        self._folder = _folder(root)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            mark = os.open(name, flags, 0o600, dir_fd=self._folder)
        except FileExistsError:
            self.fresh = False
            return
        self.fresh = True
        _prune(self._folder, os.fstat(mark).st_mtime)
        os.fsync(mark)
        os.close(mark)
        os.fsync(self._folder)  # the mark must outlast a power cut, or the command could be begun twice

    def stored(self) -> tuple[dict[str, object], bytes, bytes] | None:
        """Return the outcome, standard output and standard error that are kept, if they are."""
        try:
            fd = os.open(self._name + ".done", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)
        except OSError:
            return None
        try:
            data = b""
            while len(data) <= 2 * STORED and (more := os.read(fd, STORED)):
                data += more
            head, _, body = data.partition(b"\n")
            outcome = cheap.loads(head)
            out = int(outcome.pop("out"))
            return outcome, body[:out], body[out:]
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration, OSError):
            return None  # whoever works here may have written over it
        finally:
            os.close(fd)

    def store(self, outcome: dict[str, object], out: bytes, err: bytes) -> None:
        """Keep the outcome for whoever asks again; without room for it, a repeat finds only the mark."""
        temporary, flags = self._name + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(temporary, flags, 0o600, dir_fd=self._folder)
            try:
                left = memoryview(cheap.dumps({**outcome, "out": len(out)}) + b"\n" + out + err)
                while left:
                    left = left[os.write(fd, left) :]
            finally:
                os.close(fd)
            os.rename(temporary, self._name + ".done", src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError:
            return

    def forget(self) -> None:
        """Take the mark away: nothing was begun."""
        try:
            os.unlink(self._name, dir_fd=self._folder)
        except OSError:
            return

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._folder)


def _folder(root: str) -> int:
    """Return a descriptor of the folder the marks are in."""
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in (FOLDER, "steps"):
        try:
            below = _enter(here, name)
        finally:
            os.close(here)
        here = below
    return here


def _enter(above: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=above)
    except FileNotFoundError:
        pass
    except OSError:
        os.unlink(name, dir_fd=above)  # a file or a link in its place would make every command fail for ever
    try:
        os.mkdir(name, 0o700, dir_fd=above)
    except FileExistsError:
        return os.open(name, flags, dir_fd=above)  # another run's sandbox has the same workspace, and was faster
    return os.open(name, flags, dir_fd=above)


def _prune(folder: int, now: float) -> None:
    """Forget marks that are old, and the oldest ones when there are too many."""
    names = os.listdir(folder)
    if len(names) % 64 and len(names) <= 2 * MOST:
        return
    marks = sorted((_made(folder, name), name) for name in names)
    spare = max(0, len(marks) - 2 * MOST)
    for position, (made, name) in enumerate(marks):
        if position < spare or made < now - OLDEST:
            _forget(folder, name)


def _forget(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return  # another run's sandbox prunes here too


def _made(folder: int, name: str) -> float:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return 0.0
