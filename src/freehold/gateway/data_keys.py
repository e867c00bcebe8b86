"""
The data keys of tenants, as the gateway's store keeps them: wrapped, in generations, unwrapped at use.

Who seals gets the newest generation; an older one is there only while what lies under it is sealed anew.
"""

from datetime import datetime
from typing import Any, Final, final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, delete, func, insert, select, update

from freehold.core.errors import NotFound
from freehold.gateway.tables import switches, tenant_keys
from freehold.vault.sealing import Sealer, Vault

_ERASED: Final = select(switches.c.tenant).where(
    switches.c.tenant == bindparam("owner"), switches.c.erased_at.is_not(None)
)
_KEYS: Final = (
    select(tenant_keys.c.generation, tenant_keys.c.wrapped)
    .where(tenant_keys.c.tenant == bindparam("owner"))
    .order_by(tenant_keys.c.generation)
)


@final
class DataKeys:
    """Finds, makes and drops data keys; in what is not said otherwise, only inside `write`."""

    def __init__(self, vault: Vault) -> None:
        """Wrap and unwrap by `vault`."""
        self.vault = vault
        self._sealers: dict[tuple[str, tuple[tuple[int, bytes], ...]], Sealer] = {}

    def opener(self, tx: Tx, owner: str) -> Sealer | None:
        """Return the way to open what is sealed for `owner`, or None if nothing ever was; inside `read` too."""
        wrapped = self._wrapped(tx, owner)
        if not wrapped:
            return None
        # Remembered by its wrapped bytes, which every use reads anew: a key that was erased or rolled back is gone.
        known = (owner, tuple(wrapped.items()))
        found = self._sealers.get(known)
        if found is None:
            found = self._sealers[known] = self.vault.sealer(owner, wrapped)
        return found

    def sealer(self, tx: Tx, owner: str, *, at: datetime) -> Sealer:
        """Return the way to seal for `owner`, with a key made now if it has none."""
        found = self.opener(tx, owner)
        if found is not None:
            return found
        if tx.execute(_ERASED, {"owner": owner}).first() is not None:
            raise NotFound("There is no such tenant any more.", code="tenant_erased")
        self._add(tx, owner, 1, at)
        return self.vault.sealer(owner, self._wrapped(tx, owner))

    def next_generation(self, tx: Tx, owner: str, *, at: datetime) -> bool:
        """Give `owner` a fresh key beside the one it has; return False where two are there already, or none."""
        generations = list(self._wrapped(tx, owner))
        if len(generations) != 1:
            return False
        self._add(tx, owner, generations[0] + 1, at)
        return True

    def drop_older(self, tx: Tx, owner: str) -> None:
        """Destroy every generation but the newest: nothing is under them any more."""
        if tx.dialect.name == "sqlite":
            tx.exec_driver_sql("PRAGMA secure_delete=ON")  # what is deleted is overwritten
        newest = select(func.max(tenant_keys.c.generation)).where(tenant_keys.c.tenant == owner).scalar_subquery()
        tx.execute(delete(tenant_keys).where(tenant_keys.c.tenant == owner, tenant_keys.c.generation < newest))
        self._sealers = {known: sealer for known, sealer in self._sealers.copy().items() if known[0] != owner}

    def wrap_anew(self, tx: Tx) -> int:
        """Put every key under the master key that counts now, and return how many there are."""
        rows = tx.execute(select(tenant_keys)).all()
        if tx.dialect.name == "sqlite":
            tx.exec_driver_sql("PRAGMA secure_delete=ON")
        for row in rows:
            wrapped = self.vault.wrapped_anew(row.tenant, row.generation, row.wrapped)
            which = tenant_keys.c.tenant == row.tenant, tenant_keys.c.generation == row.generation
            tx.execute(update(tenant_keys).where(*which).values(wrapped=wrapped))
        return len(rows)

    def _wrapped(self, tx: Tx, owner: str) -> dict[int, bytes]:
        return {row.generation: row.wrapped for row in tx.execute(_KEYS, {"owner": owner})}

    def _add(self, tx: Tx, owner: str, generation: int, at: datetime) -> None:
        wrapped = self.vault.new_key(owner, generation)
        values: dict[str, Any] = {"tenant": owner, "generation": generation, "wrapped": wrapped, "made_at": at}
        tx.execute(insert(tenant_keys).values(values))


def owners(tx: Tx) -> list[str]:
    """Return everybody who has a data key."""
    return list(tx.execute(select(tenant_keys.c.tenant).distinct().order_by(tenant_keys.c.tenant)).scalars())


def between_generations(tx: Tx) -> list[str]:
    """Return whose older key is still there: somebody began to replace it."""
    twice = select(tenant_keys.c.tenant).group_by(tenant_keys.c.tenant).having(func.count() > 1)
    return list(tx.execute(twice.order_by(tenant_keys.c.tenant)).scalars())


def any_key(tx: Tx) -> Any:
    """Return one row of a wrapped key: tenant, generation, wrapped; None where there is none."""
    return tx.execute(select(tenant_keys.c.tenant, tenant_keys.c.generation, tenant_keys.c.wrapped).limit(1)).first()
