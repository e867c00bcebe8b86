"""
Whether a call gets its money now, gets less, waits for money that others hold, or is refused; pure.

A call that would fit once others give back what they do not use waits for that. One that would not even then gets
an answer that is shorter than it might have been, as long as that is worth the call.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, final

from freehold.gateway.asked import Whom
from freehold.gateway.money.bounds import Estimate
from freehold.gateway.money.counters import Tally

SHARES: Final = 16
"""A call that did not say how long an answer it wants holds at most this part of the room, …"""
COMFORTABLE: Final = 4_096
"""… but so many tokens in any case: few answers are longer."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a call may have."""

    nano: int
    output: int | None
    clamped: bool = False


WAIT = Offer(0, None)
"""The money is there and others hold it."""
REFUSED = Offer(-1, None)
"""There is not enough, whoever gives back what."""


@final
@dataclass(slots=True, eq=False)
class Waiting:
    """A call that waits for money."""

    whom: Whom
    estimate: Estimate
    own: bool
    got: "asyncio.Future[None]"
    """Done when it is its turn to ask again."""
    at: list[Tally] = field(default_factory=list)
    """Where it waits."""

    def wait_at(self, tallies: list[Tally]) -> None:
        """Wait at these tallies and no others."""
        for tally in self.at:
            tally.waiting -= 1
        self.at = tallies
        for tally in tallies:
            tally.waiting += 1


def offer(  # noqa: PLR0911 - one per answer
    estimate: Estimate, charge: Callable[[int], int], *, room: int | None, free: int | None, last: bool
) -> Offer:
    """
    Return what a call may have of `room`, where `free` would be there if nobody held anything.

    `charge` makes a charge of a cost; `last` says that it has waited long enough.
    """
    full = charge(estimate.nano(estimate.output or 0))
    if not full or room is None or free is None or full * (1 if estimate.stated else SHARES) <= room:
        return Offer(full, estimate.output)
    wanted = estimate if estimate.stated else _modest(estimate, charge, room)
    full = charge(wanted.nano(wanted.output or 0))
    clamped = wanted.output != estimate.output
    if full <= room:
        return Offer(full, wanted.output, clamped)
    if full <= free and not last:
        return WAIT
    if wanted.output is None or charge(wanted.nano(wanted.least)) > free:
        return REFUSED
    # Half of what it could have at best is worth having at once; less is not, while others hold some.
    goal = wanted.least if last else max(wanted.least, affordable(wanted, charge, free) // 2)
    if charge(wanted.nano(goal)) > room:
        return REFUSED if last else WAIT
    output = affordable(wanted, charge, room)
    return Offer(charge(wanted.nano(output)), output, clamped=True)


def _modest(estimate: Estimate, charge: Callable[[int], int], room: int) -> Estimate:
    """Return what a call asks for that did not say how long an answer it wants: it leaves most of the room to others."""
    share = max(COMFORTABLE, affordable(estimate, charge, room) // SHARES)
    return estimate if estimate.output is None else replace(estimate, output=min(estimate.output, share))


def affordable(estimate: Estimate, charge: Callable[[int], int], nano: int) -> int:
    """Return the longest answer that `nano` pays for; 0 if it pays for none."""
    low, high = 0, estimate.output or 0
    while low < high:
        middle = (low + high + 1) // 2
        if charge(estimate.nano(middle)) <= nano:
            low = middle
        else:
            high = middle - 1
    return low
