"""Furnishing: the files that came with a run's message lie in its workspace before the first tool looks."""

from collections.abc import Callable
from typing import Any, Final, final

from typing_extensions import override

from freehold.agents.ports import Hands
from freehold.core.errors import NotFound
from freehold.gateway.client import Work
from freehold.sandboxes.runtime import Guest
from freehold.store.objects import TenantFiles
from freehold.store.scope import Store
from freehold.store.threads import in_thread

FOLDER: Final = "attachments"
"""Where they lie, relative to the workspace."""


@final
class Furnished(Hands):
    """Sandboxes that hold what came with the message."""

    def __init__(self, hands: Hands, store: Store, files: Callable[[str], TenantFiles]) -> None:
        """Wake by `hands`; `files` gives the files of the tenant with an id."""
        self._hands, self._store, self._files = hands, store, files
        self._furnished: set[str] = set()

    @override
    async def awake(self, work: Work, uid: int) -> Guest:
        guest = await self._hands.awake(work, uid)
        if work.run not in self._furnished:
            await self._furnish(guest, work)
            self._furnished.add(work.run)
        return guest

    @override
    async def rest(self, run: str) -> None:
        self._furnished.discard(run)
        await self._hands.rest(run)

    async def _furnish(self, guest: Guest, work: Work) -> None:
        attachments = await in_thread(self._attachments, work)
        lying = await _names(guest) if attachments else frozenset()
        for attached in attachments:
            if attached["name"] not in lying:  # an earlier segment may have changed it since
                data = await self._files(work.tenant).get(attached["file"])
                await guest.write_file(f"{FOLDER}/{attached['name']}", data)

    def _attachments(self, work: Work) -> tuple[dict[str, Any], ...]:
        with self._store.tenant(work.tenant).read() as scope:
            run = scope.runs.get(work.run)
            return scope.talk.message(run.message).attachments if run.message else ()


async def _names(guest: Guest) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in await guest.list_files(FOLDER))
    except NotFound:
        return frozenset()
