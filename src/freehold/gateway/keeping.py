"""
The gateway's store as its own modules use it: short transactions off the event loop, sealing, and the record.

All writing goes through one thread, so that a call never waits for the loop and no two transactions race. What waits
for that thread is committed together (`committing`).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from typing import Any, Final, TypeVar, final

from sqlalchemy import Connection
from typing_extensions import Unpack

from freehold.audit.recording import PLATFORM, Facts, append
from freehold.audit.sealing import seal
from freehold.core.clock import Clock
from freehold.core.ids import NewId
from freehold.gateway.committing import Commits
from freehold.gateway.data_keys import DataKeys, any_key
from freehold.gateway.manifests import Manifests, RolledBack
from freehold.gateway.ports import Credential
from freehold.gateway.tables import audit
from freehold.store.db import Database
from freehold.store.looking import Look
from freehold.vault.sealing import Sealer, Vault

log = logging.getLogger(__name__)

T = TypeVar("T")

READERS: Final = 2


@final
class Keep:
    """What is kept, and how to get at it."""

    def __init__(self, database: Database, vault: Vault, *, clock: Clock, new_id: NewId) -> None:
        """Keep things in `database`, sealed by `vault`."""
        self._database, self._clock = database, clock
        self.new_id = new_id
        self.keys = DataKeys(vault)
        self.manifests = Manifests(self.keys, self._read)
        self._alarms: set[tuple[str, str]] = set()
        self.remembered: dict[tuple[str, str], tuple[bytes, Credential]] = {}
        """Secrets opened before, each with the sealed bytes it was opened from."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="keep-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="keep-read")
        self._commits = Commits(database, self._writer)
        self._put_in = Look(database, clock)
        self.generation = 0
        """How often what calls are judged by was changed; what was remembered before is void."""

    def now(self) -> datetime:
        """Return the time."""
        return self._clock.now()

    async def write(self, work: Callable[[Connection], T], *, behind: bool = False, plain: bool = False) -> T:
        """Do `work` in a transaction that is on disk when this returns, as `committing` says it."""
        try:
            return await self._commits.write(work, behind=behind, plain=plain)
        except RolledBack as error:
            await self._noticed(error)
            raise

    def changed(self) -> None:
        """Say that connections, secrets, levels, keys, grants or accounts are not as they were."""
        self.generation += 1

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do `work` over one moment of the store."""
        try:
            return await _run(self._readers, lambda: self._read(work))
        except RolledBack as error:
            await self._noticed(error)
            raise

    async def aside(self, work: Callable[[], T]) -> T:
        """Do `work`, which touches files and not the store, off the loop."""
        return await _run(self._readers, work)

    async def seal(self) -> int:
        """Give the rows of the record their places, and return how many had none."""
        return await _run(self._writer, lambda: seal(self._database, audit, store="gateway"))

    async def seal_new(self) -> int:
        """Do so if anything was written since it was last done."""
        if not self._put_in.due():
            return 0
        try:
            return await self.seal()
        except BaseException:
            self._put_in.again()
            raise

    def written(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction here and now; for the start, before there is a loop."""
        with self._database.write() as tx:
            return work(tx)

    async def _noticed(self, error: RolledBack) -> None:
        """Write down, once for each, that something older was put back."""
        if (error.owner, error.what) in self._alarms:
            return
        self._alarms.add((error.owner, error.what))
        log.error("%s", error)
        told: dict[str, Any] = {"actor": "gateway", "action": "vault.rolled_back", "subject": error.what}
        await self._commits.write(lambda tx: self.note(tx, error.owner or None, **told))

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._database.read() as tx:
            return work(tx)

    def sealer(self, tx: Connection, tenant: str | None) -> Sealer:
        """Return the way to seal for `tenant`, with a key made now if it has none; only inside `write`."""
        return self.keys.sealer(tx, tenant or PLATFORM, at=self.now())

    def opener(self, tx: Connection, tenant: str | None) -> Sealer | None:
        """Return the way to open what is sealed for `tenant`, or None if nothing ever was."""
        return self.keys.opener(tx, tenant or PLATFORM)

    def note(
        self,
        tx: Connection,
        tenant: str | None,
        *,
        actor: str,
        action: str,
        subject: str,
        detail: Mapping[str, Any] | None = None,
        **facts: Unpack[Facts],
    ) -> None:
        """Append to the record of `tenant` in the same transaction as what is told."""
        at = int(self.now().timestamp() * 1000)
        append(tx, audit, at=at, tenant=tenant, actor=actor, action=action, subject=subject, detail=detail, **facts)

    def check(self) -> None:
        """Raise `Denied` if the master key is not the one that wrapped what is stored."""
        found = self._read(any_key)
        if found is not None:
            self._read(lambda tx: self.opener(tx, found.tenant))

    def close(self) -> None:
        """Finish what is being written and let go of the store."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._database.close()

    async def wipe(self) -> None:
        """Let nothing that was deleted stand on in the store's log of changes."""
        await _run(self._writer, self._database.wipe)


async def _run(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """Do `work` in one of `threads`; who asks goes with it."""
    return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, work)
