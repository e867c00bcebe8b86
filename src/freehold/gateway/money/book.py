"""One tenant's book: its limits, what was agreed with it, and a tally for everyone its calls are counted for."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, final

from freehold.core.money import Budget, BudgetScope, Period, calendar
from freehold.gateway.asked import Whom
from freehold.gateway.money.accounts import NOTHING_AGREED, Account
from freehold.gateway.money.budgets import EACH_RUN
from freehold.gateway.money.counters import Tally
from freehold.gateway.money.sums import Spent, subjects

if TYPE_CHECKING:
    from freehold.gateway.money.queueing import Waiting

KEPT_WINDOWS: Final = 4
"""Of each period: a clock that was set back a little finds them as they were."""
MAX_TALLIES: Final = 20_000
"""Of one tenant; beyond that those of runs that hold nothing are let go."""
_Key = tuple[BudgetScope, str, Period, str]


@final
@dataclass(slots=True, eq=False)
class Book:
    """What the owner of all counters knows of one tenant."""

    tenant: str
    mark: Callable[[], str]
    """Makes an id of a row: those made later sort behind it."""
    account: Account = NOTHING_AGREED
    limits: dict[tuple[BudgetScope, str, Period], Budget] = field(default_factory=dict)
    limits_runs: bool = False
    """Whether there is a limit for runs."""
    tallies: dict[_Key, Tally] = field(default_factory=dict)
    windows: dict[tuple[Period, str], None] = field(default_factory=dict)
    """Those whose rows were summed, the first of them first."""
    runs: dict[str, str | None] = field(default_factory=dict)
    """Which rows of a run are not counted yet: those before this id; none: all are."""
    fresh: bool = False
    """Whether limits and account are as the store has them."""
    version: int = 0
    """How often they changed: what was read before the last change is not fresh."""
    queue: "deque[Waiting]" = field(default_factory=deque)
    began: str = ""
    """What runs that have no tally spent lies in rows before this; what they spend from now on will be counted."""
    _found: dict[tuple[str, ...], tuple[Tally, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Count from here on."""
        self.began = self.mark()

    def ready(self, at: datetime, run: str) -> bool:
        """Tell whether all is known that a call of `run` at this moment is judged by."""
        day, month = calendar(at)
        if not self.fresh or (Period.DAY, day) not in self.windows or (Period.MONTH, month) not in self.windows:
            return False
        return not run or not self.limits_runs or self.runs.get(run, self.began) is None

    def of(self, whom: Whom, at: datetime, *, own: bool) -> tuple[Tally, ...]:
        """Return the tallies that a call counts in."""
        windows = calendar(at)
        attended = "" if whom.attended or not whom.run else "unattended"
        key = (whom.agent, whom.key, whom.level, whom.run, attended, "own" if own else "", *windows)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MAX_TALLIES:
                self._found.clear()
            found = self._found[key] = self._tallies(whom, windows, own=own)
        return found

    def _tallies(self, whom: Whom, windows: tuple[str, str], *, own: bool) -> tuple[Tally, ...]:
        day, month = windows
        unattended = bool(whom.run) and not whom.attended
        found = [self.tally(BudgetScope.TIER, "", Period.MONTH, month)]
        for scope, subject in subjects(agent=whom.agent, key=whom.key, level=whom.level, unattended=unattended):
            found.append(self.tally(scope, subject, Period.DAY, day))
            found.append(self.tally(scope, subject, Period.MONTH, month))
        if whom.run:
            self.runs.setdefault(whom.run, self.began)
            found.append(self.tally(BudgetScope.RUN, whom.run, Period.EVER, ""))
        if not own:
            found.append(self.tally(BudgetScope.CREDIT, "", Period.EVER, ""))
        return tuple(found)

    def tally(self, scope: BudgetScope, subject: str, period: Period, named: str) -> Tally:
        """Return a tally, made if there is none."""
        key = (scope, subject, period, named)
        found = self.tallies.get(key)
        if found is None:
            if len(self.tallies) >= MAX_TALLIES:
                self._let_go()
            found = self.tallies[key] = Tally(scope=scope, subject=subject, period=period, window=named)
            found.limit = self._limit(found)
        return found

    def agree(self, limits: list[Budget], account: Account) -> None:
        """Go by these limits and this account from now on; what is counted stays."""
        if account.credit_nano is not None and self.account.credit_nano is None:
            # Paid in advance from now on (or read for the first time): the store knows what of it is spent.
            self.tally(BudgetScope.CREDIT, "", Period.EVER, "").spent = account.credit_spent_nano
        self.account = account
        self.limits = {(limit.scope, limit.subject, limit.period): limit for limit in limits}
        self.limits_runs = any(limit.scope is BudgetScope.RUN for limit in limits)
        for tally in self.tallies.values():
            tally.limit = self._limit(tally)
        self.fresh = True

    def begin(self, period: Period, named: str, spent: Spent) -> None:
        """Begin a window with what the rows say; nothing was counted in it so far, or it has begun already."""
        if (period, named) in self.windows:
            return
        for (scope, subject, _, _), nano in spent.items():
            self.tally(scope, subject, period, named).spent += nano
            if scope is BudgetScope.TENANT and period is Period.MONTH:
                self.tally(BudgetScope.TIER, "", period, named).spent += nano
        self.windows[period, named] = None
        of_period = [known for known in self.windows if known[0] is period]
        for old in of_period[:-KEPT_WINDOWS]:
            self._end(old)

    def begin_run(self, run: str, spent: int) -> None:
        """Add what the rows say of a run before it had a tally."""
        if self.runs.get(run) is not None:
            self.tally(BudgetScope.RUN, run, Period.EVER, "").spent += spent
            self.runs[run] = None

    def _end(self, old: tuple[Period, str]) -> None:
        past = {key: tally for key, tally in self.tallies.items() if key[2:] == old}
        if any(tally.held for tally in past.values()):
            return
        del self.windows[old]
        for key in past:
            del self.tallies[key]
        self._found.clear()

    def _limit(self, tally: Tally) -> int | None:
        if tally.scope is BudgetScope.CREDIT:
            return self.account.credit_nano
        found = self.limits.get((tally.scope, tally.subject, tally.period))
        if found is None and tally.scope is BudgetScope.RUN:
            found = self.limits.get((tally.scope, EACH_RUN, tally.period))
        if found is None:
            return None
        return found.limit_nano + (found.extra_nano if found.extra_window == tally.window else 0)

    def _let_go(self) -> None:
        for key, tally in list(self.tallies.items()):
            if key[0] is BudgetScope.RUN and not tally.held and not tally.waiting:
                del self.tallies[key]
                self.runs.pop(key[1], None)
        self.began = self.mark()
        self._found.clear()
