"""
A child of the gateway: carries one call out, says what came of it, and ends.

Started as `python -m freehold.app.connector_child KIND`. It closes itself off before it reads what it was handed,
dies with its parent, and may write no file and open few.
"""

import asyncio
import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

from freehold.app.clock import SystemClock
from freehold.app.closing import close_off
from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError
from freehold.gateway.children import answer_of, call_of
from freehold.gateway.ports import ConnectorDriver

MEMORY: Final = 1 << 30
FILES: Final = 64
MOST_FILES: Final = 1 << 20
CPU_SECONDS: Final = 60
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38


def _smtp(made: Mapping[str, Any], clock: Clock) -> ConnectorDriver:
    from freehold.drivers.connector.smtp import Smtp  # noqa: PLC0415 - a child loads its own kind and no other

    return Smtp(made["url"], made["sender"], clock)


KINDS: Final[Mapping[str, Callable[[Mapping[str, Any], Clock], ConnectorDriver]]] = {"smtp": _smtp}


def main() -> int:
    """Carry out what is asked on standard input, and return the exit code."""
    os.closerange(3, MOST_FILES)  # not every loop that starts processes keeps what is open from them
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints is heard as a complaint, never as an answer
    _close_off()
    asked = json.loads(sys.stdin.buffer.read())
    if os.getppid() != asked["parent"]:
        return 1  # nobody is left to hear of it
    driver = KINDS[sys.argv[1]](asked["made"], SystemClock())
    _say(answers, asyncio.run(_performed(driver, asked["call"], lambda: _say(answers, {"sent": True}))))
    return 0


async def _performed(driver: ConnectorDriver, told: Mapping[str, Any], sent: Callable[[], None]) -> dict[str, Any]:
    try:
        return {"result": await driver.perform(call_of(told, sent))}
    except FreeholdError as error:
        return answer_of(error)


def _say(answers: BinaryIO, said: Mapping[str, Any]) -> None:
    answers.write(json.dumps(said).encode() + b"\n")
    answers.flush()


def _close_off() -> None:
    close_off()
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    limits = {
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: FILES,
    }
    for which, most in limits.items():
        resource.setrlimit(which, (most, most))


if __name__ == "__main__":
    sys.exit(main())
