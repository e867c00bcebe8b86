"""
The worker's half of a tenant's end: its folders, which only the runtime that made them can remove.

Workspaces belong to sandbox users; whoever is not root has them removed as sandboxes are made, by the runtime's driver.
"""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, final

from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError, Unavailable
from freehold.store.life import Receipt, Receipts
from freehold.store.looking import Look
from freehold.store.objects import TenantFiles
from freehold.store.scope import Store
from freehold.store.threads import in_thread

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0

Forget = Callable[[str, str], Awaitable[None]]
"""Removes a tenant's workspace and everything in it."""


@final
class Clearing:
    """Removes the folders of tenants that are being destroyed; one per worker."""

    def __init__(
        self, store: Store, forget: Forget, files: Callable[[str], TenantFiles], *, data: Path, clock: Clock
    ) -> None:
        """Remove workspaces by `forget`, and the files that `files` gives for a tenant's id, below `data`."""
        self._store, self._forget, self._files = store, forget, files
        self._data, self._clock = data, clock

    async def keep(self) -> None:
        """Look every few seconds whether there is something to remove; until cancelled."""
        look = Look(self._store.database, self._clock)
        while True:
            try:
                if look.due():
                    await self.clear()
            except FreeholdError as error:
                log.warning("A tenant's folders could not be removed: %s It is tried again.", error.message)
                look.again()
            except Exception:
                log.exception("Removing a tenant's folders broke; it is tried again.")
                look.again()
            await self._clock.sleep(LOOK_SECONDS)

    async def clear(self) -> int:
        """Remove the folders of every tenant that is being destroyed, and return how many tenants that were."""
        waiting = [one for one in await in_thread(self._under_way) if one.folders_gone_at is None]
        for receipt in waiting:
            await self._clear(receipt)
        return len(waiting)

    async def _clear(self, receipt: Receipt) -> None:
        folder = self._data / "tenants" / receipt.tenant
        workspaces, files, size = receipt.workspaces, receipt.files, receipt.bytes
        for workspace in await in_thread(_names, folder / "workspaces"):
            await self._forget(receipt.tenant, workspace)
            workspaces += 1
            await in_thread(self._put, receipt.tenant, workspaces=workspaces)
        kept = self._files(receipt.tenant)
        for file in await kept.list():
            await kept.delete(file.name)
            files, size = files + 1, size + file.size
        await asyncio.to_thread(_remove, folder)
        await in_thread(self._put, receipt.tenant, files=files, bytes=size, folders_gone_at=self._clock.now())

    def _under_way(self) -> list[Receipt]:
        with self._store.read() as platform:
            return Receipts(platform.connection).under_way()

    def _put(self, tenant: str, **changes: object) -> None:
        with self._store.write() as platform:
            Receipts(platform.connection).put(tenant, **changes)


def _names(folder: Path) -> list[str]:
    return sorted(below.name for below in folder.iterdir()) if folder.is_dir() else []


def _remove(folder: Path) -> None:
    """Remove what is left of the folder, which is empty folders."""
    if folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise Unavailable(
            f"{folder} cannot be removed.", code="folder_stays", remedy="See whose it is; an operator can remove it."
        )
