"""
Counting money against a limit: what is spent, and what is held back for calls under way; pure.

A call is counted in several tallies at once (its tenant's, its agent's, …), each of which may have a limit. Nothing
here waits and nothing here can fail half-way: a step changes all the tallies of a call or none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from freehold.core.money import BudgetScope, Period


@final
@dataclass(slots=True, eq=False)
class Tally:
    """What one of those a call is counted for has spent in a window, and what is held."""

    scope: BudgetScope = BudgetScope.TENANT
    subject: str = ""
    period: Period = Period.EVER
    window: str = ""
    spent: int = 0
    held: int = 0
    limit: int | None = None
    """None: no limit."""
    told: int = 0
    """Percent of the limit that people were told about last."""
    waiting: int = 0
    """Calls in the queue for want of room here; who comes later does not overtake them."""

    @property
    def room(self) -> int:
        """What may still be held; below nothing where a limit was set lower than what is spent."""
        return 0 if self.limit is None else self.limit - self.spent - self.held

    @property
    def free(self) -> int:
        """What could be held if nothing else were."""
        return 0 if self.limit is None else self.limit - self.spent


def limited(tallies: Iterable[Tally]) -> list[Tally]:
    """Return those that have a limit."""
    return [tally for tally in tallies if tally.limit is not None]


def room(tallies: Iterable[Tally]) -> int | None:
    """Return the most that may be held in all of `tallies`; none: anything."""
    return min((tally.room for tally in limited(tallies)), default=None)


def free(tallies: Iterable[Tally]) -> int | None:
    """Return the most that could be held in all of `tallies` if nothing else were; none: anything."""
    return min((tally.free for tally in limited(tallies)), default=None)


def hold(tallies: Iterable[Tally], nano: int) -> None:
    """Hold `nano` back."""
    for tally in tallies:
        tally.held += nano


def settle(tallies: Sequence[Tally], held: int, charge: int) -> int:
    """Turn what was `held` into what is spent: `charge`, or as much of it as the limits let; return that."""
    left = room(tallies)
    charged = charge if left is None else min(charge, held + max(0, left))
    for tally in tallies:
        tally.held -= held
        tally.spent += charged
    return charged


def release(tallies: Iterable[Tally], held: int) -> None:
    """Give back what was `held`: nothing was spent."""
    for tally in tallies:
        tally.held -= held
