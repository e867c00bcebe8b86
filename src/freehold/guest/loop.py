"""
One thread that watches the line to the outside, the children and their pipes.

Writing to the line blocks on purpose: the outside always reads, and whoever prints too much waits.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` itself costs an import of enum
import errno
import os
import select
import time

from freehold.guest import cheap, frames

TYPE_CHECKING = False  # as the type checkers read it; importing typing would double the start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

READ = select.POLLIN | select.POLLHUP | select.POLLERR
WRITE = select.POLLOUT


class Refused(Exception):
    """What was asked cannot be done; told to the outside as it stands."""

    def __init__(self, code: str, message: str) -> None:
        """Name the code programs compare, and say it in words."""
        self.code, self.message = code, message
        super().__init__(message)


_CODES = {
    errno.ENOENT: "no_such_file",
    errno.EISDIR: "is_a_folder",
    errno.ENOTDIR: "not_a_folder",
    errno.ENOTEMPTY: "folder_not_empty",
    errno.EACCES: "not_allowed",
    errno.EPERM: "not_allowed",
    errno.EROFS: "not_allowed",
    errno.ENOSPC: "workspace_full",
    errno.EDQUOT: "workspace_full",
    errno.EFBIG: "workspace_full",
}


def translated(error: OSError, what: str = "") -> Refused:
    """Return what the operating system said as a refusal."""
    said = (error.strerror or "it failed").lower()
    return Refused(_CODES.get(error.errno or 0, "file_error"), f"{what}: {said}." if what else f"The files: {said}.")


class Task:
    """One open channel. What a kind of question does not know of, it lets pass."""

    deadline: float | None = None
    """When `expire` is called, on the monotonic clock."""
    pid = 0
    """The process it stands for, or 0."""

    def data(self, chunk: bytes) -> None:
        """Take bytes from the outside."""

    def end(self) -> None:
        """Take note that no more bytes come."""

    def credit(self, count: int) -> None:
        """Take leave to send `count` bytes more."""

    def cancel(self) -> None:
        """Stop at once."""

    def expire(self) -> None:
        """Take note that the time is up."""


class Loop:
    """Carries tasks from their question to their answer."""

    def __init__(self, line: int, opening: Callable[[Loop, int, dict[str, Any]], Task | None]) -> None:
        """Speak over `line`; `opening` turns a question into a task, or answers it at once."""
        self._line, self._opening = line, opening
        self._poll = select.poll()
        self._ready: dict[int, Callable[[int], None]] = {}
        self._children: dict[int, Callable[[int], None]] = {}
        self._read = b""
        self.tasks: dict[int, Task] = {}

    def watch(self, fd: int, events: int, ready: Callable[[int], None]) -> None:
        """Call `ready` whenever one of `events` is so at `fd`."""
        self._poll.register(fd, events)
        self._ready[fd] = ready

    def unwatch(self, fd: int) -> None:
        """Look at `fd` no more."""
        if self._ready.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def expect(self, pid: int, ended: Callable[[int], None]) -> None:
        """Call `ended` with the exit status of child `pid`."""
        self._children[pid] = ended

    def send(self, kind: int, channel: int, payload: bytes = b"") -> None:
        """Send one frame, and wait until it is on its way."""
        left = memoryview(frames.pack(kind, channel, payload))
        while left:
            left = left[os.write(self._line, left) :]

    def done(self, channel: int, answer: dict[str, Any]) -> None:
        """Close the channel with its answer."""
        self.tasks.pop(channel, None)
        self.send(frames.DONE, channel, cheap.dumps(answer))

    def failed(self, channel: int, code: str, message: str) -> None:
        """Close the channel with an error."""
        self.tasks.pop(channel, None)
        self.send(frames.FAILED, channel, cheap.dumps({"code": code, "message": message}))

    def serve(self) -> None:
        """Work until the outside hangs up."""
        wake, wakeup = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _signal.signal(_signal.SIGCHLD, _nothing)
        _signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        self.watch(wake, READ, lambda _: self._reap(wake))
        self.watch(self._line, READ, self._hear)
        self.send(frames.READY, 0)
        while self._line in self._ready:
            for fd, events in self._poll.poll(self._patience()):
                ready = self._ready.get(fd)
                if ready is not None:
                    ready(events)
            self._expire()

    def _patience(self) -> float | None:
        deadlines = [task.deadline for task in self.tasks.values() if task.deadline is not None]
        return max(0.0, (min(deadlines) - time.monotonic()) * 1000) + 1 if deadlines else None

    def _expire(self) -> None:
        now = time.monotonic()
        for task in [task for task in self.tasks.values() if task.deadline is not None and task.deadline <= now]:
            task.deadline = None
            task.expire()

    def _reap(self, wake: int) -> None:
        os.read(wake, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._children.pop(pid, None)
            if ended is not None:
                ended(os.waitstatus_to_exitcode(status))

    def _hear(self, _events: int) -> None:
        try:
            data = os.read(self._line, frames.CHUNK + frames.HEADER)
        except ConnectionError:
            data = b""
        if not data:
            self.unwatch(self._line)
        self._read += data
        while len(self._read) >= frames.HEADER:
            kind, channel, length = frames.unpack(self._read)
            if len(self._read) < frames.HEADER + length:
                return
            payload = self._read[frames.HEADER : frames.HEADER + length]
            self._read = self._read[frames.HEADER + length :]
            self._obey(kind, channel, payload)

    def _obey(self, kind: int, channel: int, payload: bytes) -> None:
        task = self.tasks.get(channel)
        if kind == frames.OPEN:
            self._open(channel, payload)
        elif task is None:
            return  # it was answered while this was on its way
        elif kind == frames.DATA:
            task.data(payload)
        elif kind == frames.END:
            task.end()
        elif kind == frames.CREDIT:
            task.credit(int.from_bytes(payload, "big"))
        elif kind == frames.CANCEL:
            task.cancel()

    def _open(self, channel: int, payload: bytes) -> None:
        try:
            task = self._opening(self, channel, cheap.loads(payload))
        except Refused as error:
            self.failed(channel, error.code, error.message)
        except OSError as error:
            refused = translated(error)
            self.failed(channel, refused.code, refused.message)
        else:
            if task is not None:
                self.tasks[channel] = task


def _nothing(_number: int, _frame: object) -> None:
    """Be there, so that the signal wakes the poll."""
