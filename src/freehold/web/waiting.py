"""`Prefer: wait=N`: whoever wants may wait for an answer, and costs nothing but a connection meanwhile."""

import asyncio
import re
from typing import Annotated, Final

from fastapi import Header

from freehold.core.runs import FINAL, Run, RunState, WaitsFor
from freehold.store.scope import Tenancy
from freehold.store.threads import in_thread
from freehold.web.streams import Listening, put_out

MAX_SECONDS: Final = 300.0
_RESTING: Final = frozenset(f"run.{state}" for state in (*FINAL, RunState.WAITING, RunState.PAUSED))
"""The events after which a run may rest; for any other it is not looked at."""
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])")

Prefer = Annotated[str, Header(max_length=200, description="`wait=N` waits up to N seconds for the answer.")]


def seconds(prefer: str) -> float:
    """Return how long a `Prefer` header asks to wait; 0 where it does not."""
    found = _WAIT.search(prefer)
    return min(float(found[1]), MAX_SECONDS) if found else 0.0


def rests(run: Run) -> bool:
    """Return whether nothing more happens to `run` by itself: it is over, or a person is asked."""
    asks = run.state is RunState.WAITING and run.waits_for is WaitsFor.PERSON
    return run.state in FINAL or run.state is RunState.PAUSED or asks


async def until_rest(tail: Listening, tenancy: Tenancy, run: str, wait: float) -> None:
    """Return once `run` rests, or after `wait` seconds; raise `Denied` if who waits may not know any more."""
    if wait <= 0:
        return
    end = asyncio.get_running_loop().time() + wait
    async with tail.watch(run) as watch:
        while not rests(await in_thread(_get, tenancy, run)):
            while (item := await watch.next(end - asyncio.get_running_loop().time())) is not None:
                if item.get("type") in _RESTING:
                    break
            if watch.revoked:
                raise put_out()
            if item is None:
                return


def _get(tenancy: Tenancy, run: str) -> Run:
    with tenancy.read() as scope:
        return scope.runs.get(run)
