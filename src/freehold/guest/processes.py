"""Starting a process, and ending it with everything it started."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` itself costs an import of enum
import os

from freehold.guest.loop import Loop, Refused

TYPE_CHECKING = False  # as the type checkers read it; importing typing would double the start
if TYPE_CHECKING:
    from collections.abc import Sequence

SIGKILL = 9
_RESET = [_signal.SIGPIPE, _signal.SIGCHLD, _signal.SIGXFSZ]
"""Python ignores or handles these; a command must find them as usual."""


def spawn(argv: list[str], *, stdin: int, stdout: int, stderr: int) -> int:
    """Start a process at the head of a session of its own and return its number."""
    actions = [(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate((stdin, stdout, stderr))]
    return _spawn(argv, actions)


def spawn_on_terminal(argv: list[str], terminal: str) -> int:
    """Start a process whose session owns the terminal at that path."""
    # The leader of a session that opens a terminal comes to own it.
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, terminal, os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, 0, 1),
        (os.POSIX_SPAWN_DUP2, 0, 2),
    ]
    return _spawn(argv, actions, TERM="xterm-256color")


def _spawn(argv: list[str], actions: Sequence[tuple[object, ...]], **more: str) -> int:
    environment = {**os.environ, **more}  # noqa: TID251 - what a command inherits, not how the platform is set
    pid = os.posix_spawnp(argv[0], argv, environment, file_actions=actions, setsid=True, setsigdef=_RESET)
    if os.getpid() == 1:
        _first_to_go(pid)
    return pid


def _first_to_go(pid: int) -> None:
    """When memory runs out, let the kernel end commands and not the guest."""
    try:
        fd = os.open(f"/proc/{pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return  # it is over already
    try:
        os.write(fd, b"900")
    except OSError:
        return
    finally:
        os.close(fd)


def not_started(argv: list[str], error: OSError) -> Refused | None:
    """Return the refusal to be told, or nothing when it only means that there is no such program."""
    if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError):
        return None
    return Refused("cannot_start", f"{argv[0][:200]} could not be started: {error.strerror}.")


def bury_tree(loop: Loop, pid: int) -> None:
    """Kill what `pid`, which has ended, left running; with nothing else under way, return when all of it is gone."""
    kill_tree(loop, pid)
    if not _alone(loop, pid):
        return
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _alone(loop: Loop, pid: int) -> bool:
    """Return whether everything inside came from `pid`; the first process of a sandbox may then kill and reap all."""
    return os.getpid() == 1 and not any(task.pid not in {0, pid} for task in loop.tasks.values())


def kill_tree(loop: Loop, pid: int) -> None:
    """Kill `pid` and all that came from it; everything else inside too, once no other command is under way."""
    if _alone(loop, pid):
        _kill(-1)
        return
    for _ in range(8):  # whoever was forked while we looked is found the next time
        family = _family(pid)
        if not family:
            return
        for one in family:
            _kill(one)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _family(pid: int) -> set[int]:
    """Return what lives of the session of `pid` and of its descendants."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        state, parent, session = _stat(int(name))
        if state in "ZX":
            continue
        parents[int(name)] = parent
        if int(name) == pid or session == pid:
            found.add(int(name))
    grown = True
    while grown:
        more = {one for one, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def _stat(pid: int) -> tuple[str, int, int]:
    """Return state, parent and session of a process; a state of X when it is gone."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return "X", 0, 0
    try:
        fields = os.read(fd, 4096).rpartition(b")")[2].split()
    except OSError:
        return "X", 0, 0
    finally:
        os.close(fd)
    return fields[0].decode(), int(fields[1]), int(fields[3])
