"""
Work that is done in a child of ours, so that what it loads is never part of us.

The child is a fork: it starts at once, does its work and ends. Only before there are threads and a loop.
"""

import json
import os
from collections.abc import Callable
from typing import Final

from freehold.core.errors import FreeholdError, from_problem, to_problem

_PIECE: Final = 1 << 16


def in_child(work: Callable[[], None]) -> None:
    """Do `work` in a child and return when it is done; raise what it raised, if that is an error of ours."""
    reading, telling = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        os._exit(_worked(work, telling))
    os.close(telling)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if told:
        problem = json.loads(told)
        raise from_problem(problem["status"], problem)
    if status:
        raise FreeholdError("A child of this process broke.", remedy="It says above what happened.")


def _worked(work: Callable[[], None], telling: int) -> int:
    try:
        work()
    except FreeholdError as error:
        os.write(telling, json.dumps(to_problem(error)).encode()[:_PIECE])
        return 1
    except BaseException:  # noqa: BLE001 - the child must end here, whatever it is
        import traceback  # noqa: PLC0415 - only for what should not happen

        traceback.print_exc()
        return 1
    return 0
