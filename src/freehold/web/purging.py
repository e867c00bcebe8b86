"""
The duty that destroys deleted tenants whose time is over: web's half, beside the gateway and the rows.

Folders are the worker's half, which has the hands of the sandboxes; each waits for what the other wrote down.
"""

import logging
from typing import Final

from freehold.core.errors import Conflict, FreeholdError
from freehold.runs.engine import Ticket
from freehold.store.life import Receipt, Receipts
from freehold.store.looking import Look
from freehold.store.threads import in_thread
from freehold.tenants import purging
from freehold.web.state import State

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
RUNS: Final = 100


async def keep_purged(state: State) -> None:
    """Destroy what is due, step by step; for as long as web lives."""
    look = Look(state.store.database, state.clock)
    while True:
        try:
            if look.due():
                await purge_due(state)
        except FreeholdError as error:
            log.warning("A tenant could not be destroyed yet: %s It is tried again.", error.message)
            look.again()
        except Exception:
            log.exception("Destroying a tenant broke; it is tried again.")
            look.again()
        await state.clock.sleep(LOOK_SECONDS)


async def purge_due(state: State) -> None:
    """Take every tenant whose time is over as far towards its end as it goes now."""
    await in_thread(_begin, state)
    for receipt in await in_thread(_under_way, state):
        await _go_on(state, receipt)


async def _go_on(state: State, receipt: Receipt) -> None:
    tenant = receipt.tenant
    if receipt.key_destroyed_at is None:
        told = await state.gateway.erase(tenant, by=receipt.begun_by)
        await in_thread(_put_erased, state, tenant, told["rows"])
    if receipt.folders_gone_at is not None:
        await in_thread(_erase_rows, state, tenant)


def _begin(state: State) -> None:
    with state.store.read() as platform:
        due = purging.due(platform, clock=state.clock)
    for tenant in due:
        try:
            with state.store.write() as platform:
                purging.begin(platform, tenant, by=purging.BY_ITSELF, clock=state.clock)
        except Conflict:
            continue  # restored meanwhile


def _under_way(state: State) -> list[Receipt]:
    with state.store.read() as platform:
        return Receipts(platform.connection).under_way()


def _put_erased(state: State, tenant: str, rows: dict[str, int]) -> None:
    with state.store.write() as platform:
        Receipts(platform.connection).put(tenant, key_destroyed_at=state.clock.now(), erased=rows)


def _erase_rows(state: State, tenant: str) -> None:
    _forget_segments(state, tenant)
    more = True
    while more:
        with state.store.write() as platform:
            more = purging.erase_some(platform, tenant)
    with state.store.write() as platform:
        purging.finish(platform, tenant, clock=state.clock)
    state.store.database.wipe()


def _forget_segments(state: State, tenant: str) -> None:
    """Drop what the engine knows of the tenant's runs; only their rows name them."""
    after = ""
    while True:
        with state.store.tenant(tenant).write() as scope:
            found = scope.runs.page(after=after, limit=RUNS)
            tickets = [
                Ticket(tenant=tenant, run=run.id, segment=segment)
                for run in found
                for segment in range(1, run.segment + 1)
            ]
            state.engine.forget(scope.connection, tickets)
        if len(found) < RUNS:
            return
        after = found[-1].id
