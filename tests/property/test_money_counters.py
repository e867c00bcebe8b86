"""
Whatever happens in whatever order, `spent + held` stays within every limit and nothing leaks.

A machine plays tenants' days: calls of several agents and runs are held, shortened, settled for any cost, released,
limits are set up and down. After every step each counter is compared with what the calls say.
"""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from freehold.core.money import BudgetScope, Period
from freehold.gateway.asked import Units, Whom
from freehold.gateway.money import counters
from freehold.gateway.money.accounts import Account
from freehold.gateway.money.book import Book
from freehold.gateway.money.bounds import Estimate
from freehold.gateway.money.counters import Tally
from freehold.gateway.money.prices import MANY, Price, Tier
from freehold.gateway.money.queueing import REFUSED, WAIT, affordable, offer
from freehold.testing.clock import START

AGENTS = ("agt_1", "agt_2", "agt_3")
RUNS = ("", "run_1", "run_2")
Held = tuple[tuple[Tally, ...], int]


class Counting(RuleBasedStateMachine):
    """Calls and limits in any order."""

    held = Bundle("held")

    @initialize(markup=st.sampled_from([0, 1, 333_333, 2_000_000]))
    def begin(self, markup: int) -> None:
        """Begin with an empty book."""
        self.book = Book("ten_1", lambda: "usg_1")
        self.account = Account(markup_ppm=markup)
        self.limits: dict[Tally, int] = {}
        self.open: list[Held] = []
        self.spent: dict[Tally, int] = {}

    def charge(self, cost: int) -> int:
        """Return the charge for a cost."""
        return self.account.charge(cost, own=False)

    @rule(
        scope=st.sampled_from([BudgetScope.TENANT, BudgetScope.AGENT, BudgetScope.RUN]),
        agent=st.sampled_from(AGENTS),
        run=st.sampled_from(RUNS[1:]),
        nano=st.integers(0, 50_000),
    )
    def limit(self, scope: BudgetScope, agent: str, run: str, nano: int) -> None:
        """Set a limit, also below what is spent."""
        subject = {BudgetScope.AGENT: agent, BudgetScope.RUN: run}.get(scope, "")
        period = Period.EVER if scope is BudgetScope.RUN else Period.MONTH
        tally = self.book.tally(scope, subject, period, "" if scope is BudgetScope.RUN else "2026-01")
        tally.limit = nano
        # What was spent and held before the limit came stays; nothing may be added to it.
        self.limits[tally] = max(nano, tally.spent + tally.held)

    @rule(
        target=held,
        agent=st.sampled_from(AGENTS),
        run=st.sampled_from(RUNS),
        entering=st.integers(0, 300),
        output=st.one_of(st.none(), st.integers(0, 30_000)),
        choices=st.integers(1, 3),
        stated=st.booleans(),
        last=st.booleans(),
    )
    def hold(
        self, agent: str, run: str, entering: int, output: int | None, choices: int, *, stated: bool, last: bool
    ) -> object:
        """Ask for money."""
        tallies = self.book.of(Whom(tenant="ten_1", agent=agent, run=run), START, own=False)
        limited = counters.limited(tallies)
        price = Price(id="p", input=MANY, output=3 * MANY)
        wanted = Estimate(
            input=Units(input=entering),
            output=output,
            least=min(16, output or 0),
            price=price,
            choices=choices,
            stated=stated,
        )
        room = counters.room(limited)
        made = offer(wanted, self.charge, room=room, free=counters.free(limited), last=last)
        if made in (WAIT, REFUSED):
            return None
        assert not made.nano or room is None or made.nano <= room  # what costs nothing is never refused
        assert made.clamped or made.output == output
        counters.hold(tallies, made.nano)
        self.open.append((tallies, made.nano))
        return self.open[-1]

    @rule(one=consumes(held), cost=st.integers(0, 20_000))
    def settle(self, one: Held | None, cost: int) -> None:
        """Charge a call whatever a provider may say."""
        if one is None:
            return
        tallies, nano = one
        self.open.remove(one)
        charge = self.charge(cost)
        charged = counters.settle(tallies, nano, charge)
        assert min(charge, nano) <= charged <= charge
        for tally in tallies:
            self.spent[tally] = self.spent.get(tally, 0) + charged

    @rule(one=consumes(held))
    def release(self, one: Held | None) -> None:
        """Give everything back."""
        if one is not None:
            self.open.remove(one)
            counters.release(one[0], one[1])

    @invariant()
    def within(self) -> None:
        """No limit is passed, and every counter is the sum of its calls."""
        if not hasattr(self, "book"):
            return
        for tally in self.book.tallies.values():
            assert tally.spent == self.spent.get(tally, 0)
            assert tally.held == sum(nano for tallies, nano in self.open if tally in tallies)
            if tally in self.limits:
                assert tally.spent + tally.held <= self.limits[tally]
                self.limits[tally] = max(tally.limit or 0, tally.spent + tally.held)


TestCounting = Counting.TestCase
TestCounting.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

prices = st.builds(
    Price,
    id=st.just("p"),
    input=st.integers(0, 10**10),
    cached=st.integers(0, 10**10),
    written=st.integers(0, 10**10),
    output=st.integers(0, 10**11),
    request=st.integers(0, 10**6),
    tiers=st.lists(
        st.builds(
            Tier,
            above=st.integers(0, 300_000),
            input=st.integers(0, 10**10),
            cached=st.integers(0, 10**10),
            written=st.integers(0, 10**10),
            output=st.integers(0, 10**11),
        ),
        max_size=2,
    ).map(lambda tiers: tuple(sorted(tiers, key=lambda tier: -tier.above))),
)


@given(
    price=prices,
    entering=st.integers(0, 500_000),
    output=st.integers(0, 100_000),
    nano=st.integers(0, 10**13),
    markup=st.integers(0, 10**7),
)
def test_the_longest_answer_that_is_affordable_is_so_and_the_next_is_not(
    price: Price, entering: int, output: int, nano: int, markup: int
) -> None:
    estimate = Estimate(input=Units(input=entering), output=output, least=1, price=price)
    account = Account(markup_ppm=markup)

    def charge(cost: int) -> int:
        return account.charge(cost, own=False)

    found = affordable(estimate, charge, nano)
    assert found == 0 or charge(estimate.nano(found)) <= nano
    assert found == output or charge(estimate.nano(found + 1)) > nano


@given(price=prices, counts=st.tuples(*(st.integers(0, 400_000) for _ in range(4))))
def test_a_cost_is_never_less_than_its_parts_and_never_a_nano_more_than_their_sum(
    price: Price, counts: Sequence[int]
) -> None:
    plain, cached, written, output = counts
    units = Units(input=plain + cached + written, cached=cached, written=written, output=output)
    rate = next((tier for tier in price.tiers if units.input > tier.above), price)
    exact = plain * rate.input + cached * rate.cached + written * rate.written + output * rate.output
    assert 0 <= (price.cost(units) - price.request) * MANY - exact < MANY
