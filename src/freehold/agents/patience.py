"""How long to ask again while something is away."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from freehold.core.clock import Clock
from freehold.core.errors import Unavailable

T = TypeVar("T")

GATEWAY_AWAY: Final = "gateway_away"
OURS: Final = frozenset({GATEWAY_AWAY, "effects_paused"})
"""What is about our own house, not about whoever is asked: no answer to write down, the run waits until it is over."""
_GATEWAY_TRIES: Final = 60
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0
"""Who is away for longer is not waited for: the run parks."""


async def while_away(clock: Clock, ask: Callable[[], Awaitable[T]]) -> T:
    """
    Return what `ask` returns, asking again while the gateway is being started anew.

    Everything asked of the gateway has its key, so asking again is safe. Raises `Unavailable` with code
    `gateway_away` once that has gone on for about half a minute.
    """
    tries = 1
    while True:
        try:
            return await ask()
        except Unavailable as error:
            if error.code != GATEWAY_AWAY or tries >= _GATEWAY_TRIES:
                raise
            pause = max(error.after, FIRST_PAUSE)
        tries += 1
        await clock.sleep(pause)


def pause(failures: int, after: float) -> float:
    """Return how long to wait after the `failures`-th failure, when the other side asked for `after` seconds."""
    return max(after, FIRST_PAUSE * (1 << (failures - 1)))
