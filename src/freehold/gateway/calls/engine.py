"""
The engine: find the way, hold the money, write it down, make the call, pass the answer on, settle.

What fails before the caller has seen a byte goes on to the next route, as an attempt with a hold and a row of its own.
What fails after that is told inside the stream. Nothing is dialled before its row and its link of the record are on
disk, and whatever was dialled is settled.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.core.errors import Exhausted, Invalid, Unavailable
from freehold.core.metrics import Metrics
from freehold.core.money import NANO, UsageKind
from freehold.failpoints import reach
from freehold.gateway import switches
from freehold.gateway.calls.attempting import Attempt, Failed, accepted, left, limit, speaks, told_as, translated
from freehold.gateway.calls.cooling import Cooling
from freehold.gateway.calls.inward import inward
from freehold.gateway.calls.kept import reachable
from freehold.gateway.calls.passage import Passage
from freehold.gateway.calls.routing import Way, Ways
from freehold.gateway.calls.telling import Record, Telling
from freehold.gateway.formats import Answer, Asked, Caller, Sent, Units
from freehold.gateway.keeping import Keep
from freehold.gateway.money import bounds, meter, warnings
from freehold.gateway.money.books import Books, Hold
from freehold.gateway.ports import NotSent

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 0.2
CLOSE_AGAIN_SECONDS: Final = 1.0
CEILING: Final = 65_536
"""Tokens that money is kept back for where a caller does not say how many it wants at most."""
_NOTHING: Final = Units(requests=0)


@final
class Engine:
    """Makes model calls."""

    def __init__(
        self,
        keep: Keep,
        ways: Ways,
        books: Books,
        *,
        seconds: float,
        sleep: Callable[[float], Awaitable[None]],
        metrics: Metrics | None = None,
    ) -> None:
        """Call by `ways`; wait at most `seconds` for the beginning of an answer."""
        self.keep, self._ways, self._books = keep, ways, books
        self._metrics = metrics or Metrics()
        self._seconds, self._sleep = seconds, sleep
        self._cooling = Cooling()
        self._calibration = bounds.Calibration()
        self._closing: set[asyncio.Task[None]] = set()

    async def call(self, caller: Caller, asked: Asked, telling: Telling | None = None) -> Passage:
        """
        Return the answer to `asked` from the first byte on.

        Raises what refused it: `Denied`, `Exhausted` (402), `Invalid`; or `Unavailable` once every route failed.
        """
        caller.require(asked.model)
        told = telling or Record(self.keep, caller.whom, asked)
        found = reachable(await self._ways.find(caller.whom.tenant, asked.model), asked)
        ways = self._in_order([way for way in found if speaks(way, asked)])
        first = ""
        for number, way in enumerate(ways, start=1):
            try:
                whom = caller.whom if caller.whom.level == way.level else replace(caller.whom, level=way.level)
                return await self._attempt(Attempt(caller, whom, asked, way, told, number, first))
            except Failed as failed:
                first = first or failed.usage_id
                self._cooling.failed(way.place, self.keep.now(), after=getattr(failed.error, "after", 0.0))
                if number == len(ways):
                    raise failed.error from failed
                log.info("The route %s failed (%s); the next one is tried.", way.name, failed.error.code)
        raise Invalid(
            f"None of the connections of {asked.model[:80]!r} can do that.",
            code="not_supported",
            remedy="Use a model of a provider that offers it.",
        )

    def finish(self, passage: Passage, telling: Telling) -> None:
        """Write down what came of a call, behind the answer; a disk that is full is waited for."""
        self._behind(self._insist(passage, telling))

    async def close(self, passage: Passage, telling: Telling, *, behind: bool = False) -> None:
        """Write down what came of a call; `behind` its answer that may wait a little for company."""
        settled = passage.settled
        if settled is None:
            raise RuntimeError("A call is settled before it is written down.")
        if settled.units is not None and not settled.estimated and settled.units.input:
            self._calibration.learn(passage.way.model, len(passage.asked.body), settled.units.input)
        tenant = passage.hold.tenant
        detail = {
            "status": settled.status,
            "address": settled.address,
            "bytes": settled.bytes_out,
            "cost_nano": settled.cost_nano,
            "charge_nano": settled.charge_nano,
            "code": settled.code,
        }

        def write(tx: Tx) -> None:
            meter.close(
                tx,
                self.keep,
                tenant=tenant,
                usage_id=passage.usage_id,
                state=settled.state,
                units=settled.units,
                cost_nano=settled.cost_nano,
                charge_nano=settled.charge_nano,
                estimated=settled.estimated,
                status=settled.status,
                bytes_out=settled.bytes_out,
            )
            warnings.note(tx, self.keep, tenant=tenant, crossings=passage.hold.crossed)
            telling.closing(tx, passage, detail)

        try:
            await self.keep.write(write, behind=behind, plain=telling.plain and not passage.hold.crossed)
        except (Exhausted, Unavailable):
            if not behind:  # what it came to stays what it is: it is written down when there is room again
                self.finish(passage, telling)
            raise
        took = (self.keep.now() - passage.hold.opened_at).total_seconds()
        self._metrics.observe("freehold_model_call_seconds", took, ended="early" if settled.code else "whole")
        self._metrics.count("freehold_model_charged_usd_total", settled.charge_nano / NANO)

    async def drain(self) -> None:
        """Wait for what is being written down."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=5.0)

    async def _attempt(self, one: Attempt) -> Passage:
        asked, way = one.asked, one.way
        adapter = inward(asked, way.driver)
        inner = adapter.request(asked) if adapter else asked
        ratio = self._calibration.ratio(way.model)
        estimate = bounds.estimate(inner, way.price, ratio=ratio, ceiling=CEILING)
        hold = await self._books.hold(one.whom, estimate, own=way.own)
        sent, usage_id = await self._begun(one, hold, inner)
        reach("gateway", "intent")
        passage = Passage(asked, way, books=self._books, hold=hold, usage_id=usage_id, most=estimate.input)
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._sent(way, sent)
                await accepted(passage, answer)
                reading = way.driver.reading(inner, answer)
                await passage.begin(answer, adapter.reading(reading, asked) if adapter else reading)
        except BaseException as error:
            broke = translated(error)
            await passage.leave(broke)
            await self.close(passage, one.told)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise told_as(passage, broke) from error
        self._cooling.answered(way.place)
        return passage

    async def _begun(self, one: Attempt, hold: Hold, inner: Asked) -> tuple[Sent, str]:
        """Spell the request and write its row; where either cannot be, what is held comes back."""
        way, opened = one.way, list[str]()
        try:
            config, most = way.connected.config, limit(one.asked, hold)
            sent = way.driver.request(inner, model=way.model, config=config, credential=way.credential, limit=most)
            await self.keep.write(lambda tx: opened.append(self._open(tx, one, hold)), plain=one.told.plain)
        except BaseException as error:
            self._books.release(hold)
            if isinstance(error, asyncio.CancelledError):
                self._behind(self._withdrawn(one, hold, opened))
            raise
        return sent, opened[-1]

    async def _sent(self, way: Way, sent: Sent) -> Answer:
        try:
            return await way.driver.send(sent, way.behalf, left)
        except NotSent:
            await self._sleep(AGAIN_SECONDS)  # provably nothing happened, so once more changes nothing
            return await way.driver.send(sent, way.behalf, left)

    def _open(self, tx: Tx, one: Attempt, hold: Hold) -> str:
        whom, asked, way = one.whom, one.asked, one.way
        switches.require_effects(tx, whom.tenant)
        if one.caller.still is not None:
            one.caller.still(tx)
        opening = meter.Opening(
            whom=whom,
            kind=UsageKind.MODEL,
            api=asked.api,
            model=way.model,
            provider=way.connected.name,
            price_id=way.price.id,
            hold_nano=hold.nano,
            own=way.own,
            attempt=one.number,
            call=one.call,
            bytes_in=len(asked.body),
            opened_at=hold.opened_at,
        )
        usage_id = meter.open(tx, self.keep, opening)
        detail = {
            "connection": way.connected.name,
            "credential": way.connected.secret or "",
            "host": way.host,
            "model": way.model,
            "api": str(asked.api),
            "level": way.level,
            "agent": whom.agent,
            "key": whom.key,
            "bytes": len(asked.body),
            "hold_nano": hold.nano,
            "price": way.price.id,
            "attempt": one.number,
            "trace": whom.trace,
        }
        one.told.opening(tx, usage_id, detail)
        return usage_id

    def _in_order(self, ways: Sequence[Way]) -> list[Way]:
        """Return the ways with those that cool down behind the others, the soonest ready first."""
        if len(ways) < 2:  # noqa: PLR2004
            return list(ways)
        now = self.keep.now()
        return sorted(ways, key=lambda way: self._cooling.since(way.place, now))

    def _behind(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _withdrawn(self, one: Attempt, hold: Hold, opened: Sequence[str]) -> None:
        """Close the row of a call that was given up while its row was written, if it came to be."""
        await self.keep.write(lambda _tx: None)  # works are done in their order: the row is there now, or never
        for usage_id in opened:
            passage = Passage(one.asked, one.way, books=self._books, hold=hold, usage_id=usage_id, most=_NOTHING)
            await passage.leave(NotSent("Nobody waited for the call any longer.", code="caller_gone"))
            await self._insist(passage, one.told)

    async def _insist(self, passage: Passage, telling: Telling) -> None:
        while True:
            try:
                await self.close(passage, telling, behind=True)
            except (Exhausted, Unavailable):
                await self._sleep(CLOSE_AGAIN_SECONDS)
            except Exception:
                log.exception("A call could not be closed; the next start charges it at its hold.")
                return
            else:
                return
