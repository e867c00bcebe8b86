"""
Sessions of programs that speak with the outside: one pair of records, one row of usage, and an end that we decide.

A session is written down before anything is dialled, and once more when it is over, with what went each way. While it
lasts it is counted; it ends when it has carried or lasted too much, when its run is another worker's, and when the
effects of its tenant are paused.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.core.errors import Exhausted, FreeholdError
from freehold.core.money import UsageKind, UsageState
from freehold.failpoints import reach
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.egress import standing
from freehold.gateway.keeping import Keep
from freehold.gateway.money import meter

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
"""How often it is looked at whether who speaks may still."""
REFUSALS: Final = 64
"""Refusals of one box that are written down; whoever is refused more often is not heard more."""

REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a session may come to."""

    most_bytes: int
    """Both ways together."""
    seconds: float
    at_once: int
    """Sessions of one sandbox at a time."""


@final
@dataclass(eq=False, slots=True, kw_only=True)
class Session:
    """One session under way."""

    id: str
    """Of its row of usage."""
    speaker: Speaker
    box: str
    cut: Callable[[FreeholdError], None]
    """Ends it from our side, for the reason given."""
    still: Callable[[Tx], None]
    """Raises what else keeps it from going on."""
    most: int
    began: float
    bytes_in: int = 0
    """From the program to the outside."""
    bytes_out: int = 0
    address: str = ""
    status: int = 0
    late: asyncio.TimerHandle | None = field(default=None, repr=False)

    def went(self, size: int) -> None:
        """Count what goes out; raise `Exhausted` (`too_much`) where that is more than a session carries."""
        self.bytes_in += size
        self._within()

    def came(self, size: int) -> None:
        """Count what comes back; raise as `went` does."""
        self.bytes_out += size
        self._within()

    def _within(self) -> None:
        if self.bytes_in + self.bytes_out > self.most:
            raise too_much(f"One session carries at most {self.most} bytes.")


@final
class Sessions:
    """All sessions of one gateway."""

    def __init__(self, keep: Keep, limits: Limits) -> None:
        """Let each come to `limits`."""
        self._keep, self.limits = keep, limits
        self._live: set[Session] = set()
        self._of_box: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._writing: set[asyncio.Task[Any]] = set()

    async def begin(
        self,
        speaker: Speaker,
        box: str,
        *,
        provider: str,
        about: dict[str, Any],
        cut: Callable[[FreeholdError], None],
        also: Callable[[Tx], None] = lambda _tx: None,
        still: Callable[[Tx], None] = lambda _tx: None,
    ) -> Session:
        """
        Return a session that is written down; only now may anything be dialled.

        `provider` is the connection or host it is with, `about` what the record tells of it, and `also` is done in the
        same transaction; it is cut when `still` raises. Raises what keeps `speaker` from it now, and `Exhausted`
        (`too_much`) where the box has as many sessions as it may.
        """
        if self._of_box[box] >= self.limits.at_once:
            raise too_much(f"One sandbox has at most {self.limits.at_once} connections to the outside.")
        self._of_box[box] += 1
        try:
            made = await self._keep.write(lambda tx: self._open(tx, speaker, provider, about, also))
        except BaseException:
            self._leave(box)
            raise
        reach("gateway", "intent")
        loop = asyncio.get_running_loop()
        session = Session(
            id=made, speaker=speaker, box=box, cut=cut, still=still, most=self.limits.most_bytes, began=loop.time()
        )
        late = too_much(f"One session lasts at most {self.limits.seconds:g} seconds.")
        session.late = loop.call_later(self.limits.seconds, cut, late)
        self._live.add(session)
        if self._looking is None or self._looking.done():
            self._looking = loop.create_task(self._look())
        return session

    def finish(self, session: Session, why: str = "") -> None:
        """Write down that a session is over, and `why` where that was not its own doing; it is on disk soon."""
        if session not in self._live:
            return
        self._live.discard(session)
        self._leave(session.box)
        if session.late is not None:
            session.late.cancel()
        seconds = round(asyncio.get_running_loop().time() - session.began, 3)
        told = {
            "bytes_in": session.bytes_in,
            "bytes_out": session.bytes_out,
            "seconds": seconds,
            "address": session.address,
            "status": session.status,
        }
        told |= {"why": why} if why else {}
        self._behind(lambda tx: self._close(tx, session, told))

    def refused(self, speaker: Speaker, box: str, *, about: dict[str, Any], error: FreeholdError) -> None:
        """Write down that somebody wanted out and may not; of one box so often and no more."""
        if len(self._refused) > REMEMBERED:
            self._refused.clear()
        self._refused[box] += 1
        if self._refused[box] > REFUSALS:
            return
        whom, detail = speaker.whom, about | {"code": error.code}
        named: dict[str, Any] = {"actor": f"run:{whom.run}", "subject": box, "run": whom.run, "policy": whom.version}
        note = self._keep.note
        self._behind(lambda tx: note(tx, whom.tenant, action="egress.refused", verdict="deny", detail=detail, **named))

    async def drain(self) -> None:
        """Cut all, at the end of the process, and wait until that is written down."""
        for session in list(self._live):
            session.cut(FreeholdError("The gateway ends.", code="gateway_away"))
            self.finish(session, "gateway_away")
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _open(self, tx: Tx, speaker: Speaker, provider: str, about: dict[str, Any], also: Callable[[Tx], None]) -> str:
        standing.require(tx, speaker)
        also(tx)
        keep, whom = self._keep, speaker.whom
        opening = meter.Opening(whom=whom, kind=UsageKind.EGRESS, provider=provider, opened_at=keep.now())
        made = meter.open(tx, keep, opening)
        keep.note(
            tx,
            whom.tenant,
            actor=f"run:{whom.run}",
            action="egress.open",
            subject=made,
            detail=about,
            run=whom.run,
            policy=whom.version,
            verdict="allow",
        )
        return made

    def _close(self, tx: Tx, session: Session, told: dict[str, Any]) -> None:
        keep, whom = self._keep, session.speaker.whom
        meter.close(
            tx,
            keep,
            tenant=whom.tenant,
            usage_id=session.id,
            state=UsageState.CLOSED,
            status=session.status,
            bytes_out=session.bytes_out,
        )
        meter.carried(tx, tenant=whom.tenant, usage_id=session.id, bytes_in=session.bytes_in)
        keep.note(
            tx,
            whom.tenant,
            actor=f"run:{whom.run}",
            action="egress.closed",
            subject=session.id,
            detail=told,
            run=whom.run,
        )

    def _behind(self, work: Callable[[Tx], None]) -> None:
        """Have something written down soon, without waiting for it."""
        writing = asyncio.get_running_loop().create_task(self._keep.write(work, behind=True))
        self._writing.add(writing)
        writing.add_done_callback(self._written)

    def _written(self, task: "asyncio.Task[Any]") -> None:
        self._writing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("What a program did outside cannot be written down.", exc_info=error)

    def _leave(self, box: str) -> None:
        self._of_box[box] -= 1
        if not self._of_box[box]:
            del self._of_box[box]

    async def _look(self) -> None:
        """Cut who may not any more, as long as there is anybody."""
        while self._live:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                gone = await self._keep.read(self._gone)
            except Exception:
                log.exception("Who speaks with the outside cannot be looked at; it is tried again.")
            else:
                for session, error in gone:
                    session.cut(error)

    def _gone(self, tx: Tx) -> list[tuple[Session, FreeholdError]]:
        found: list[tuple[Session, FreeholdError]] = []
        judged: dict[tuple[str, str, int], FreeholdError | None] = {}
        for session in list(self._live):
            whom = session.speaker.whom
            which = (whom.tenant, whom.run, session.speaker.epoch)
            if which not in judged:
                judged[which] = _error(tx, partial(standing.require, speaker=session.speaker))
            error = judged[which] or _error(tx, session.still)
            if error is not None:
                found.append((session, error))
        return found


def too_much(what: str) -> Exhausted:
    """Return the error that tells that a session came to more than it may."""
    return Exhausted(
        what,
        code="too_much",
        after=1.0,
        remedy="Do less at once, or ask whoever runs the platform to raise FREEHOLD_EGRESS_BYTES, _SECONDS or _AT_ONCE.",
    )


def _error(tx: Tx, require: Callable[[Tx], None]) -> FreeholdError | None:
    try:
        require(tx)
    except FreeholdError as error:
        return error
    return None
