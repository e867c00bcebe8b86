"""Books over a real store, for tests of money: rows as the engine writes them, and a clock to wind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from freehold.core.ids import Ids
from freehold.core.money import Budget, BudgetScope, Period, UsageState
from freehold.gateway.formats import Units, Whom
from freehold.gateway.keeping import Keep
from freehold.gateway.money import budgets, meter, warnings
from freehold.gateway.money.books import Books, Hold
from freehold.gateway.money.bounds import Estimate
from freehold.gateway.money.prices import MANY, Price
from freehold.gateway.tables import metadata
from freehold.store.db import Database, sqlite_address
from freehold.testing.clock import FakeClock
from freehold.vault.sealing import Vault

TENANT = "ten_1"
WHOM = Whom(tenant=TENANT, agent="agt_1", run="run_1", attended=True)
PENNY = Price(id="penny", input=MANY, output=MANY)
"""A nano for a token."""


def talk(output: int = 100, *, entering: int = 10, least: int = 1, price: Price = PENNY, **other: Any) -> Estimate:
    """Return the estimate of a conversation."""
    return Estimate(input=Units(input=entering), output=output, least=least, price=price, **other)


@dataclass
class Purse:
    """Books, their store, and a call made by hand."""

    keep: Keep
    books: Books
    clock: FakeClock

    async def limit(
        self, nano: int, scope: BudgetScope = BudgetScope.TENANT, subject: str = "", period: Period = Period.MONTH
    ) -> None:
        budget = Budget(scope=scope, subject=subject, period=period, limit_nano=nano)
        await self.keep.write(lambda tx: budgets.put(tx, self.keep, tenant=TENANT, budget=budget, by="tester"))
        self.books.forget(TENANT)

    async def opened(self, hold: Hold, whom: Whom = WHOM) -> str:
        opening = meter.Opening(whom=whom, hold_nano=hold.nano, own=hold.own, opened_at=hold.opened_at)
        return await self.keep.write(lambda tx: meter.open(tx, self.keep, opening))

    async def closed(self, hold: Hold, usage_id: str, cost: int) -> int:
        charge = self.books.settle(hold, self.books.charge(hold.tenant, cost, hold.own))

        def close(tx: Any) -> None:
            meter.close(
                tx,
                self.keep,
                tenant=hold.tenant,
                usage_id=usage_id,
                state=UsageState.CLOSED,
                units=Units(input=1),
                cost_nano=cost,
                charge_nano=charge,
            )
            warnings.note(tx, self.keep, tenant=hold.tenant, crossings=hold.crossed)

        await self.keep.write(close)
        return charge

    async def call(self, cost: int, estimate: Estimate | None = None, whom: Whom = WHOM, *, own: bool = False) -> int:
        hold = await self.books.hold(whom, estimate or talk(), own=own)
        return await self.closed(hold, await self.opened(hold, whom), cost)

    async def spent(self, scope: BudgetScope = BudgetScope.TENANT) -> int:
        (found,) = [one for one in await self.books.state(TENANT) if one["scope"] == scope]
        return int(found["spent_nano"])

    def again(self) -> "Purse":
        """Return books that begin anew over the same rows, as after a start."""
        return replace(self, books=Books(self.keep, patience=0.05))


@asynccontextmanager
async def purse(folder: Path, *, patience: float = 0.05) -> AsyncIterator[Purse]:
    """Give empty books while the block lasts."""
    clock = FakeClock()
    database = Database(sqlite_address(folder / "gateway.db"))
    metadata.create_all(database.engine)
    keep = Keep(database, Vault(bytes(32)), clock=clock, new_id=Ids(clock.now))
    try:
        yield Purse(keep, Books(keep, patience=patience), clock)
    finally:
        keep.close()
