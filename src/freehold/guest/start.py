"""Where the guest begins: it takes its limits on itself, once, and serves."""

from __future__ import annotations

import os
import resource
import sys

from freehold.guest import files
from freehold.guest.commands import run
from freehold.guest.loop import Loop, Refused, Task
from freehold.guest.processes import kill_tree

TYPE_CHECKING = False  # as the type checkers read it; importing typing would double the start
if TYPE_CHECKING:
    from typing import Any


def main(line: int, root: str, limits: dict[str, int], place: list[int] | None = None, *, way: bool = False) -> None:
    """
    Serve over the descriptor `line` until the outside hangs up; `root` is the workspace.

    With `place`, its device and inode: whoever made this sandbox looked at the workspace first and named it by its path
    then, and in between somebody could have laid a link there. With `way`, programs find models on a port of their own.
    """
    os.set_inheritable(line, False)  # noqa: FBT003 - it takes no name
    root = os.path.realpath(root)
    os.chdir(root)
    about = os.stat(".")
    if place is not None and place != [about.st_dev, about.st_ino]:
        sys.exit("The workspace is not the folder that was opened.")
    os.umask(0o022)
    os.environ.pop("PWD", None)  # noqa: TID251 - bubblewrap leaves it; commands get what they were promised and no more
    for name, limit in limits.items():
        # Hard limits: nobody inside has the capability to raise them again.
        resource.setrlimit(getattr(resource, "RLIMIT_" + name.upper()), (limit, limit))
    silent = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(silent, 2)  # who started us listens there only for why we did not come up
    loop = Loop(line, lambda loop, channel, ask: _opened(loop, channel, ask, root))
    if way:
        from freehold.guest.way import Way  # noqa: PLC0415 - where there is none, nobody pays for it

        Way(loop)
    try:
        loop.serve()
    except BrokenPipeError:
        sys.exit(0)  # the outside hung up in the middle of a word
    finally:
        for task in loop.tasks.values():
            if task.pid:
                kill_tree(loop, task.pid)


def _opened(loop: Loop, channel: int, ask: dict[str, Any], root: str) -> Task | None:
    operation = ask.get("op")
    if operation == "run":
        return run(loop, channel, ask, root)
    if operation == "write":
        return files.Writing(loop, channel, ask, root)
    if operation == "stream":
        # Only who opens one pays for importing sockets.
        from freehold.guest.streams import stream  # noqa: PLC0415

        return stream(loop, channel, ask)
    answers = {"read": files.read, "list": files.listing, "delete": files.delete}
    if operation not in answers:
        raise Refused("bad_question", "The guest does not know this operation.")
    answers[operation](loop, channel, ask, root)
    return None
