"""What web may ask about the vault as a whole: replace its keys, how far that is, and whether all is as listed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, final

import msgspec
from sqlalchemy import Connection as Tx

from freehold.audit.recording import PLATFORM
from freehold.core.errors import Conflict, FreeholdError
from freehold.gateway import data_keys, rotating
from freehold.gateway.edge import Answer, route
from freehold.gateway.keeping import Keep

log = logging.getLogger(__name__)

ALL: Final = "*"
"""The scope of a rotation of every key."""


class RotateRequest(msgspec.Struct, kw_only=True):
    """Somebody wants fresh keys: for one tenant, or (no tenant) for the platform and everybody."""

    tenant: str | None
    by: str
    master: bool = False


class RotationRequest(msgspec.Struct, kw_only=True):
    """Somebody looks how far it is."""

    tenant: str | None


@dataclass(slots=True)
class Progress:
    """How far the newest rotation is."""

    running: bool = False
    total: int = 0
    done: int = 0
    keys: int = 0
    """Keys that were replaced."""
    code: str = ""
    message: str = ""
    remedy: str = ""
    """What went wrong, if something did."""


@final
class Rotations:
    """Replaces keys, one rotation after the other."""

    def __init__(self, keep: Keep, master: Path) -> None:
        """Replace the keys in `keep`, and the master key in the file `master`."""
        self._keep, self._master = keep, master
        self._turn = asyncio.Lock()
        self._known: dict[str, Progress] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def routes(self) -> dict[str, Answer]:
        """Return what web's socket answers."""
        return {
            "secrets/rotate": route(RotateRequest, self._rotate),
            "secrets/rotation": route(RotationRequest, self._shown),
            "secrets/scan": route(RotationRequest, self._scan),
        }

    async def resume(self) -> None:
        """Finish what a gateway that died had begun."""
        found = await self._keep.read(data_keys.between_generations)
        if found:
            log.warning("%d keys were being replaced when the gateway stopped; this goes on now.", len(found))
            await self._run(Progress(running=True), lambda progress: self._replaced(found, "gateway", progress))

    async def end(self) -> None:
        """Stop; what is left is taken up at the next start."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _rotate(self, request: RotateRequest) -> dict[str, Any]:
        scope = request.tenant or ALL
        if scope in self._known and self._known[scope].running:
            raise Conflict(
                "These keys are being replaced already.", code="rotation_going_on", remedy="Wait until that is done."
            )

        async def work(progress: Progress) -> None:
            owners = [request.tenant] if request.tenant else await self._keep.read(data_keys.owners)
            if request.master:
                progress.total = progress.done = 1
                progress.keys = await rotating.replace_master(self._keep, self._master, by=request.by)
            else:
                await self._replaced(owners, request.by, progress)

        before, progress = self._known.get(scope, Progress()), Progress(running=True)
        self._known[scope] = progress
        try:
            await self._keep.write(lambda tx: self._asked(tx, request))
        except BaseException:
            self._known[scope] = before
            raise
        self._tasks[scope] = asyncio.create_task(self._run(progress, work))
        return asdict(progress)

    def _asked(self, tx: Tx, request: RotateRequest) -> None:
        """Write down who wants it before anything is begun; what is then done has rows of its own."""
        subject = "master key" if request.master else "data key" if request.tenant else "data keys"
        self._keep.note(tx, request.tenant, actor=request.by, action="vault.rotate_asked", subject=subject)

    async def _shown(self, request: RotationRequest) -> dict[str, Any]:
        return asdict(self._known.get(request.tenant or ALL, Progress()))

    async def _scan(self, request: RotationRequest) -> dict[str, Any]:
        def looked(tx: Tx) -> tuple[list[dict[str, str]], int]:
            owners = [request.tenant] if request.tenant else data_keys.owners(tx)
            faults = [(owner, what) for owner in owners for what in self._keep.manifests.faults(tx, owner)]
            return [{"tenant": owner or PLATFORM, "what": what} for owner, what in faults], len(owners)

        found, owners = await self._keep.read(looked)
        for fault in found:
            log.error("The vault of %r is not as it was left: %s.", fault["tenant"] or "platform", fault["what"])
        return {"faults": found, "owners": owners}

    async def _replaced(self, owners: list[str], by: str, progress: Progress) -> None:
        progress.total = await self._keep.read(lambda tx: rotating.count(tx, owners))

        def further(rows: int) -> None:
            progress.done += rows

        for owner in owners:
            await rotating.rotate(self._keep, owner, by=by, done=further)
            progress.keys += 1

    async def _run(self, progress: Progress, work: Callable[[Progress], Awaitable[None]]) -> None:
        try:
            async with self._turn:
                await work(progress)
        except FreeholdError as error:
            log.exception("Keys could not all be replaced.")
            progress.code, progress.message, progress.remedy = error.code, error.message, error.remedy
        except Exception:
            log.exception("Replacing keys broke.")
            progress.code, progress.message = "bug", "Replacing keys broke on our side."
            progress.remedy = "See the gateway's log; what is left is taken up at its next start."
        finally:
            progress.running = False
