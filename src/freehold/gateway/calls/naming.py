"""Which models a caller may name, as it is told when it asks for the list."""

from sqlalchemy import Connection as Tx

from freehold.core.money import Level
from freehold.gateway.calls import levels
from freehold.gateway.formats import Caller
from freehold.gateway.keeping import Keep


async def names(keep: Keep, caller: Caller) -> list[str]:
    """Return the levels that lead somewhere and the routes behind them, without what the caller may not name."""
    known = await keep.read(lambda tx: _known(tx, caller.whom.tenant))
    allowed = known if caller.models is None else [name for name in known if name in caller.models]
    return allowed + sorted((caller.models or frozenset()) - set(known))


def _known(tx: Tx, tenant: str) -> list[str]:
    chains = {str(level): levels.chain(tx, tenant=tenant, level=level) for level in Level}
    return list(
        dict.fromkeys([level for level, chain in chains.items() if chain] + [r for c in chains.values() for r in c])
    )
