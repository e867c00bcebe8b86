"""The question `run`: a command, its output as it comes, and how it ended."""

from __future__ import annotations

import os
import time

from freehold.guest import frames
from freehold.guest.loop import READ, WRITE, Loop, Task
from freehold.guest.processes import bury_tree, kill_tree, not_started, spawn, spawn_on_terminal
from freehold.guest.steps import STORED, Step

TYPE_CHECKING = False  # as the type checkers read it; importing typing would double the start
if TYPE_CHECKING:
    from typing import Any

TIOCSWINSZ = 0x5414
SIZE = b"\x28\x00\x78\x00\x00\x00\x00\x00"
"""A terminal of 40 lines with 120 columns."""
DRAIN = 64
"""How many pieces are still read of a command that has ended: its pipe, and not what others write to it for ever."""


def run(loop: Loop, channel: int, ask: dict[str, Any], root: str) -> Command | None:
    """Begin a command; one whose key was seen before is answered from what is stored."""
    step = Step(root, ask["step"]) if ask.get("step") else None
    if step is None or step.fresh:
        try:
            command = Command(loop, channel, ask, step)
        except BaseException:
            if step is not None:
                step.forget()
                step.close()
            raise
        return command if command.pid else None
    stored = step.stored()
    step.close()
    if stored is None:
        loop.done(channel, {"exit": 0, "interrupted": True})
        return None
    outcome, out, err = stored
    _send(loop, channel, frames.DATA, out)
    _send(loop, channel, frames.ERR, err)
    loop.done(channel, {**outcome, "repeated": True})
    return None


def _send(loop: Loop, channel: int, kind: int, data: bytes) -> None:
    for at in range(0, len(data), frames.CHUNK):
        loop.send(kind, channel, data[at : at + frames.CHUNK])


class Command(Task):
    """A command under way."""

    def __init__(self, loop: Loop, channel: int, ask: dict[str, Any], step: Step | None) -> None:
        """Start it."""
        self._loop, self._channel, self._step = loop, channel, step
        self._left = int(ask["cap"])
        self._printed = self._passed = 0
        self._timed_out = self._given_up = False
        self._kept: dict[int, bytes] = {frames.DATA: b"", frames.ERR: b""}
        self._input = b""
        self._input_fd, self._closing = -1, False
        self._outputs: dict[int, int] = {}
        self._began = time.monotonic()
        self.deadline = self._began + float(ask["timeout"])
        self.pid = 0
        argv = list(ask["argv"])
        try:
            self.pid = (
                self._on_terminal(argv) if ask.get("tty") else self._on_pipes(argv, wants_input=bool(ask["stdin"]))
            )
        except OSError as error:
            self._close()
            refused = not_started(argv, error)
            if refused is not None:
                raise refused from error
            self._finish(127, f"{argv[0]}: {error.strerror}\n".encode())
            return
        loop.expect(self.pid, self._ended)

    def _on_pipes(self, argv: list[str], *, wants_input: bool) -> int:
        out, out_theirs = os.pipe2(os.O_CLOEXEC)
        self._listen(out, frames.DATA)
        err, err_theirs = os.pipe2(os.O_CLOEXEC)
        self._listen(err, frames.ERR)
        in_theirs = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        if wants_input:
            os.close(in_theirs)
            in_theirs, self._input_fd = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self._input_fd, False)
        try:
            return spawn(argv, stdin=in_theirs, stdout=out_theirs, stderr=err_theirs)
        finally:
            for fd in (in_theirs, out_theirs, err_theirs):
                os.close(fd)

    def _on_terminal(self, argv: list[str]) -> int:
        import fcntl  # noqa: PLC0415 - only terminals have a size

        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, TIOCSWINSZ, SIZE)
        self._listen(ours, frames.DATA)
        self._input_fd = os.dup(ours)
        try:
            return spawn_on_terminal(argv, os.ttyname(theirs))
        finally:
            os.close(theirs)

    def _listen(self, fd: int, kind: int) -> None:
        os.set_blocking(fd, False)
        self._outputs[fd] = kind
        self._loop.watch(fd, READ, lambda _: self._hear(fd))

    def _hear(self, fd: int) -> None:
        self._take(fd)

    def _take(self, fd: int) -> bool:
        """Pass on one piece of output; return whether there was one."""
        try:
            data = os.read(fd, frames.CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # a terminal nobody holds any more
        if not data:
            self._loop.unwatch(fd)
            os.close(fd)
            del self._outputs[fd]
            return False
        kind = self._outputs[fd]
        self._printed += len(data)
        data = data[: self._left]
        self._left -= len(data)
        self._passed += len(data)
        if data:
            self._loop.send(kind, self._channel, data)
            if self._step is not None and len(self._kept[kind]) < STORED:
                self._kept[kind] += data[: STORED - len(self._kept[kind])]
        return True

    def data(self, chunk: bytes) -> None:
        """Feed its standard input."""
        if self._input_fd < 0:
            return
        self._input += chunk
        self._feed()

    def end(self) -> None:
        """Close its standard input once all has been taken."""
        self._closing = True
        self._feed()

    def cancel(self) -> None:
        """Kill it, with its whole tree: nobody waits for it any more, and whoever asks again is told it broke off."""
        self._given_up = True
        kill_tree(self._loop, self.pid)

    def expire(self) -> None:
        """Kill it, with its whole tree, and say why."""
        self._timed_out = True
        kill_tree(self._loop, self.pid)

    def _feed(self, _events: int = 0) -> None:
        fd = self._input_fd
        if fd < 0:
            return
        try:
            self._input = self._input[os.write(fd, self._input) :] if self._input else b""
        except BlockingIOError:
            pass
        except OSError:  # it reads no more
            self._input, self._closing = b"", True
        if self._input:
            self._loop.watch(fd, WRITE, self._feed)
        else:
            self._loop.unwatch(fd)
            if self._closing:
                os.close(fd)
                self._input_fd = -1

    def _ended(self, code: int) -> None:
        bury_tree(self._loop, self.pid)  # what it left running has nobody to answer to
        for fd in list(self._outputs):
            for _ in range(DRAIN):
                if not self._take(fd):
                    break
        self._close()
        self._finish(code)

    def _close(self) -> None:
        for fd in (*self._outputs, self._input_fd):
            if fd >= 0:
                self._loop.unwatch(fd)
                os.close(fd)
        self._outputs, self._input_fd = {}, -1

    def _finish(self, code: int, said: bytes = b"") -> None:
        self._kept[frames.ERR] += said
        if said:
            self._loop.send(frames.ERR, self._channel, said)
        self._printed += len(said)
        self._passed += len(said)
        outcome: dict[str, object] = {
            "exit": code,
            "printed": self._printed,
            "cut": self._printed > self._passed,
            "timed_out": self._timed_out,
            "ms": int((time.monotonic() - self._began) * 1000),
        }
        if self._step is not None:
            if not self._given_up:
                self._step.store(outcome, self._kept[frames.DATA], self._kept[frames.ERR])
            self._step.close()
        self._loop.done(self._channel, outcome)
