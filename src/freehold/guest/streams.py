"""The question `stream`: bytes in both directions, to a process or to a port inside."""

from __future__ import annotations

import _socket
import errno
import os

from freehold.guest import frames
from freehold.guest.loop import READ, WRITE, Loop, Refused, Task
from freehold.guest.processes import kill_tree, not_started, spawn

TYPE_CHECKING = False  # as the type checkers read it; importing typing would double the start
if TYPE_CHECKING:
    from typing import Any


def stream(loop: Loop, channel: int, ask: dict[str, Any]) -> StreamTask:
    """Open a stream to the process `argv` or to the port `port`."""
    if "port" in ask:
        fd = _dial(int(ask["port"]))
        return StreamTask(loop, channel, reads=os.dup(fd), writes=fd)
    argv = list(ask["argv"])
    out, out_theirs = os.pipe2(os.O_CLOEXEC)
    in_theirs, into = os.pipe2(os.O_CLOEXEC)
    silent = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    try:
        pid = spawn(argv, stdin=in_theirs, stdout=out_theirs, stderr=silent)
    except OSError as error:
        os.close(out)
        os.close(into)
        raise not_started(argv, error) or Refused("no_such_program", f"There is no program {argv[0][:200]}.") from error
    finally:
        for fd in (silent, in_theirs, out_theirs):
            os.close(fd)
    task = StreamTask(loop, channel, reads=out, writes=into, pid=pid)
    loop.expect(pid, task.ended)
    return task


def _dial(port: int) -> int:
    # Non-blocking, because a listener whose queue is full would hold up everything else.
    socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
    error = socket.connect_ex(("127.0.0.1", port))
    fd = socket.detach()
    if error not in {0, errno.EINPROGRESS}:
        os.close(fd)
        raise Refused("nobody_listens", f"Nobody listens on port {port}.")
    return fd


class StreamTask(Task):
    """A stream that is open. What it reads is limited by the credit it was given, and it gives credit as it writes."""

    def __init__(self, loop: Loop, channel: int, *, reads: int, writes: int, pid: int = 0) -> None:
        """Carry bytes from `reads` to the outside and from the outside to `writes`."""
        self._loop, self._channel = loop, channel
        self._reads, self._writes, self.pid = reads, writes, pid
        self._credit = frames.WINDOW
        self._pending, self._ending = b"", False
        for fd in (reads, writes):
            os.set_blocking(fd, False)
        loop.watch(reads, READ, self._read)

    def data(self, chunk: bytes) -> None:
        """Write what the outside says."""
        self._pending += chunk
        self._write()

    def end(self) -> None:
        """Tell the far side that nothing more comes."""
        self._ending = True
        self._write()

    def credit(self, count: int) -> None:
        """Read on."""
        if self._credit <= 0 < self._credit + count and self._reads >= 0:
            self._loop.watch(self._reads, READ, self._read)
        self._credit += count

    def cancel(self) -> None:
        """End both directions."""
        self._close()

    def ended(self, _code: int) -> None:
        """Take note that the process is gone; what it printed is still on its way."""
        self.pid = 0

    def _read(self, _events: int) -> None:
        try:
            data = os.read(self._reads, min(frames.CHUNK, self._credit))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.send(frames.END, self._channel)
            self._close()
            return
        self._credit -= len(data)
        self._loop.send(frames.DATA, self._channel, data)
        if self._credit <= 0:
            self._loop.unwatch(self._reads)

    def _write(self, _events: int = 0) -> None:
        if self._writes < 0:
            return
        try:
            count = os.write(self._writes, self._pending) if self._pending else 0
        except BlockingIOError:
            count = 0
        except OSError:
            count, self._ending = len(self._pending), True
        self._pending = self._pending[count:]
        if count:
            self._loop.send(frames.CREDIT, self._channel, count.to_bytes(4, "big"))
        if self._pending:
            self._loop.watch(self._writes, WRITE, self._write)
            return
        self._loop.unwatch(self._writes)
        if self._ending:
            self._hang_up()

    def _hang_up(self) -> None:
        if self.pid == 0:
            try:
                socket = _socket.socket(fileno=os.dup(self._writes))
                socket.shutdown(_socket.SHUT_WR)
                socket.close()
            except OSError:
                pass
        os.close(self._writes)
        self._writes = -1

    def _close(self) -> None:
        for fd in (self._reads, self._writes):
            if fd >= 0:
                self._loop.unwatch(fd)
                os.close(fd)
        self._reads = self._writes = -1
        if self.pid:
            kill_tree(self._loop, self.pid)
        self._loop.done(self._channel, {})
