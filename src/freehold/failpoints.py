"""
Places where a test may make a process die, to see what is left of its work.

Every effect passes five points in each process: `intent` written down, `sent`, `answered`, `stored`,
`acknowledged`. `FREEHOLD_FAILPOINT=process:point:count` kills the process there the count-th time;
settings refuse it outside test mode, and an unarmed point costs one comparison.
"""

import os
import signal
from dataclasses import dataclass
from typing import Final

from freehold.core.errors import Invalid

POINTS: Final = ("intent", "sent", "answered", "stored", "acknowledged")
PROCESSES: Final = ("web", "worker", "gateway", "sandbox")


@dataclass(slots=True)
class _Armed:
    process: str = ""
    point: str = ""
    left: int = 0


_armed = _Armed()


def read(spec: str) -> tuple[str, str, int]:
    """Return the process, point and count that `spec` names; raise `Invalid` where it is none."""
    process, _, rest = spec.partition(":")
    point, _, count = rest.partition(":")
    point = point.replace("_", "-").replace(" ", "-").removesuffix("-written")
    if process not in PROCESSES or point not in POINTS or not (count or "1").isdigit():
        raise Invalid(
            f"{spec!r} is no failpoint.",
            code="bad_failpoint",
            remedy=f"Write process:point:count with a process of {PROCESSES} and a point of {POINTS}.",
        )
    return process, point, int(count or "1")


def arm(spec: str) -> None:
    """Arm this process with `spec`; the empty text disarms it."""
    _armed.process, _armed.point, _armed.left = read(spec) if spec else ("", "", 0)


def armed(process: str, point: str) -> bool:
    """Return whether `process` shall die at `point`, now or a later time."""
    return bool(_armed.left) and (process, point) == (_armed.process, _armed.point)


def reached(process: str, point: str) -> bool:
    """Return whether this is the armed moment at which `process` shall die, counting down to it."""
    if not armed(process, point):
        return False
    _armed.left -= 1
    return _armed.left == 0


def reach(process: str, point: str) -> None:
    """Die by SIGKILL if this is the armed moment of `process`; else do nothing."""
    if reached(process, point):
        os.kill(os.getpid(), signal.SIGKILL)
