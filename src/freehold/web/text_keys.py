"""
Public keys for personal text: the gateway makes the pairs, web writes their public halves where rows are written.

Who creates a tenant asks for its key at once (`give_key`); whatever was missed, because the gateway was away, is
made up for here (`keep_keys`). Until a tenant has its key, personal text about it is not kept at all.
"""

import logging
from typing import Final

from sqlalchemy import select

from freehold.core.errors import FreeholdError
from freehold.store.looking import Look
from freehold.store.scope import Store
from freehold.store.tenants import tenant_table
from freehold.store.threads import in_thread
from freehold.web.state import State

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
BATCH: Final = 100
_WITHOUT: Final = select(tenant_table.c.id).where(tenant_table.c.public_key == "").limit(BATCH)


async def give_key(state: State, tenant: str | None) -> str:
    """Return the key personal text of `tenant` (none: the platform) is encrypted to, written down for who acts."""
    key = await state.gateway.tenant_key(tenant)

    def write() -> None:
        with state.store.write() as platform:
            if tenant is None:
                platform.installation.set_public_key(key)
            else:
                platform.connection.execute(
                    tenant_table.update().where(tenant_table.c.id == tenant).values(public_key=key)
                )

    await in_thread(write)
    return key


async def keep_keys(state: State) -> None:
    """See that the platform and every tenant have their keys; for as long as web lives."""
    look = Look(state.store.database, state.clock)
    while True:
        try:
            if look.due():
                for tenant in await in_thread(_without, state.store):
                    await give_key(state, tenant)
        except FreeholdError as error:
            log.debug("Keys for personal text could not be made: %s It is tried again.", error.message)
            look.again()
        except Exception:
            log.exception("Making keys for personal text broke; it is tried again.")
            look.again()
        await state.clock.sleep(LOOK_SECONDS)


def _without(store: Store) -> list[str | None]:
    """Return who has no key yet."""
    with store.read() as platform:
        found: list[str | None] = [] if platform.installation.public_key else [None]
        return found + list(platform.connection.execute(_WITHOUT).scalars())
