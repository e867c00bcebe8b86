"""
A worker's model calls: effects like any other, so that a repeat is told what was answered the first time.

A call that broke off is *unknown* and may be tried again under its key, as a second attempt with a usage row of
its own: a model call costs money but changes nothing. A provider that said no is remembered as such.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any, Final, final

import msgspec
from sqlalchemy import Connection as Tx

from freehold.core.effects import EffectState, Verdict
from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable, from_problem
from freehold.failpoints import reach
from freehold.gateway import ledger, versions
from freehold.gateway.asked import longest
from freehold.gateway.calls.attempting import translated
from freehold.gateway.calls.collecting import Collected
from freehold.gateway.calls.engine import Engine
from freehold.gateway.calls.passage import Passage
from freehold.gateway.calls.sse import Events
from freehold.gateway.choosing import chosen
from freehold.gateway.flights import Flight, Flights
from freehold.gateway.formats import Api, Asked, Caller, Whom
from freehold.gateway.keeping import Keep
from freehold.gateway.ledger import CHAT, Intent
from freehold.gateway.ports import ModelReply
from freehold.gateway.requests import ChatRequest
from freehold.gateway.scrubbing import Scrubbed, scrubbed
from freehold.gateway.steps import Standing, Step, next_step

log = logging.getLogger(__name__)

RUN: Final = "x-freehold-run"
"""Tells a model that is built in for whom it answers; it goes to no provider."""


@final
class Models:
    """The way of a worker to every model."""

    def __init__(self, keep: Keep, engine: Engine, flights: Flights, *, seconds: float) -> None:
        """Call through `engine`; `seconds` is the longest a call may take."""
        self._keep, self._engine, self._flights, self._seconds = keep, engine, flights, seconds

    async def chat(self, request: ChatRequest, listener: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Return the reply to a request, from the model or, if it was answered before, from the book."""
        name = request.model.partition("/")[0]
        meant = {"connection": name, "operation": CHAT, "arguments": {"model": request.model, "body": request.body}}
        intent = Intent(
            tenant=request.tenant,
            key=request.key,
            # Bound to this gateway only and never shown to a person: a fast spelling will do.
            hash=hashlib.sha256(msgspec.json.encode(meant, order="sorted")).hexdigest(),
            connection=name,
            operation=CHAT,
            run=request.run,
            agent=request.agent,
            version=request.version,
            epoch=request.epoch,
            trace=request.trace,
        )

        async def fly(flight: Flight) -> dict[str, Any]:
            return await self._fly(intent, request, flight)

        async def newer() -> None:
            await self._keep.write(
                lambda tx: ledger.take_epoch(tx, tenant=intent.tenant, run=intent.run, epoch=intent.epoch)
            )

        answer = await self._flights.take(
            intent.tenant, intent.key, hash=intent.hash, epoch=intent.epoch, fly=fly, newer=newer, listener=listener
        )
        return dict(answer)

    async def _fly(self, intent: Intent, request: ChatRequest, flight: Flight) -> dict[str, Any]:
        standing, model = await self._keep.read(lambda tx: self._standing(tx, intent, request))
        if next_step(standing, verdict=Verdict.ALLOW, hash=intent.hash, at=self._keep.now()) is not Step.OPEN:
            await self._keep.write(
                lambda tx: ledger.take_epoch(tx, tenant=intent.tenant, run=intent.run, epoch=intent.epoch)
            )
            return _told(standing, flight)
        book = _Book(self._keep, intent)
        try:
            async with asyncio.timeout(self._seconds):
                passage = await self._engine.call(Caller(whom=_whom(request)), _asked(request, model), book)
        except _Known as known:
            return _told(known.standing, flight)
        except (FreeholdError, TimeoutError) as error:
            broke = book.broke(error)
            if book.opened:
                await self._keep.write(book.over)
            raise broke from error
        try:
            async with asyncio.timeout(self._seconds):
                reply = await _collected(passage, flight)
        except Exception as error:
            broke = book.broke(error)
            await passage.leave(broke)
            await self._engine.close(passage, book)
            raise broke from error
        reach("gateway", "answered")
        answer = book.answered(reply, passage)
        await self._engine.close(passage, book)
        reach("gateway", "stored")
        return answer

    def _standing(self, tx: Tx, intent: Intent, request: ChatRequest) -> tuple[Standing | None, str]:
        grants = versions.granted(tx, tenant=request.tenant, agent=request.agent, version=request.version)
        model = chosen(tx, grants, request.model)
        return ledger.look(tx, self._keep, tenant=intent.tenant, key=intent.key), model


@final
class _Book:
    """The effect that a worker's call is, written in the transactions of its rows."""

    plain = False

    def __init__(self, keep: Keep, intent: Intent) -> None:
        self._keep, self._intent = keep, intent
        self.opened = False
        self._answer: dict[str, Any] | None = None
        self._error: FreeholdError | None = None

    def opening(self, tx: Tx, usage_id: str, detail: dict[str, Any]) -> None:
        """Write the intent down with the first attempt; raise `_Known` where it was answered before."""
        keep, intent = self._keep, self._intent
        if self.opened:
            self._note(tx, "model.call", usage_id, detail)
            return
        ledger.take_epoch(tx, tenant=intent.tenant, run=intent.run, epoch=intent.epoch)
        ledger.journaled(tx, tenant=intent.tenant, run=intent.run, but=intent.key)
        standing = ledger.look(tx, keep, tenant=intent.tenant, key=intent.key)
        if next_step(standing, verdict=Verdict.ALLOW, hash=intent.hash, at=keep.now()) is not Step.OPEN:
            raise _Known(standing)
        first, about = standing is None, detail | {"usage": usage_id}
        ledger.write(
            tx, keep, intent, state=EffectState.OPEN, first=first, verdict=Verdict.ALLOW, again=True, more=about
        )
        self.opened = True

    def closing(self, tx: Tx, passage: Passage, detail: dict[str, Any]) -> None:
        """Write down what an attempt came to, and with the last one what became of the effect."""
        about = detail | {"usage": passage.usage_id}
        if self._answer is not None:
            self._close(tx, EffectState.DONE, {"reply": self._answer}, about)
        elif self._error is not None:
            self.over(tx, about)
        else:
            self._note(tx, "model.done", passage.usage_id, detail)

    def over(self, tx: Tx, about: dict[str, Any] | None = None) -> None:
        """Write down that the effect came to nothing."""
        error = self._error or FreeholdError("The call to the model broke on our side.")
        told = {"code": error.code, "message": error.message, "remedy": error.remedy, "status": str(error.status)}
        became = EffectState.FAILED if isinstance(error, Invalid | Denied) else EffectState.UNKNOWN
        self._close(tx, became, {"error": told}, (about or {}) | {"code": error.code})

    def broke(self, error: Exception) -> FreeholdError:
        """Take note of the error that ended the effect, and return it as it is told."""
        self._error = _late() if isinstance(error, TimeoutError) else translated(error)
        return self._error

    def answered(self, reply: ModelReply, passage: Passage) -> dict[str, Any]:
        """Take note of the reply, and return it as it is told."""
        charged = passage.settled.charge_nano if passage.settled else 0
        self._answer = {
            "text": reply.text,
            "calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in reply.calls],
            "finish": reply.finish,
            "usage_in": reply.usage_in,
            "usage_out": reply.usage_out,
            "cost_nano": charged,
            "model": reply.model,
        }
        return self._answer

    def _close(self, tx: Tx, state: EffectState, outcome: dict[str, Any], detail: dict[str, Any]) -> None:
        tenant, key, actor = self._intent.tenant, self._intent.key, self._intent.actor
        ledger.close(tx, self._keep, tenant=tenant, key=key, state=state, outcome=outcome, actor=actor, detail=detail)

    def _note(self, tx: Tx, action: str, subject: str, detail: dict[str, Any]) -> None:
        intent = self._intent
        self._keep.note(
            tx, intent.tenant, actor=intent.actor, action=action, subject=subject, detail=detail, run=intent.run
        )


class _Known(Exception):
    """The call was answered while this one waited for its money."""

    def __init__(self, standing: Standing | None) -> None:
        super().__init__("answered before")
        self.standing = standing


def _whom(request: ChatRequest) -> Whom:
    return Whom(
        tenant=request.tenant,
        agent=request.agent,
        version=request.version,
        run=request.run,
        attended=request.attended,
        trace=request.trace,
    )


def _asked(request: ChatRequest, model: str) -> Asked:
    """Return the request as a client of OpenAI's would send it, streamed, so that text can go on as it comes."""
    body = request.body | {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    stated = [request.body.get(name) for name in ("max_completion_tokens", "max_tokens")]
    return Asked(
        api=Api.CHAT,
        model=model,
        body=msgspec.json.encode(body),
        stream=True,
        max_output=longest(*(most for most in stated if isinstance(most, int))),
        usage_wanted=True,
        headers={RUN: request.run},
    )


async def _collected(passage: Passage, flight: Flight) -> ModelReply:
    """Return the whole reply; what it says goes on as it comes, without the credential."""
    credential = passage.way.credential
    told = Scrubbed(credential, flight.say)
    collected, events = Collected(say=told.say), Events()
    streamed = passage.content_type.startswith("text/event-stream")  # not all do it who are asked to
    async for piece in passage.pieces():
        for data in [event.data for event in events.feed(piece)] if streamed else [piece]:
            if data and passage.error is None:
                collected.take(data)
    if passage.error is not None:
        raise passage.error
    calls = collected.calls()
    told.finish()
    units = passage.settled.units if passage.settled else None
    reply = ModelReply(
        text=collected.text,
        calls=calls,
        finish=collected.finish or "stop",
        usage_in=units.input if units else 0,
        usage_out=units.output if units else 0,
        estimated=passage.settled.estimated if passage.settled else True,
        model=collected.model or passage.way.model,
    )
    return scrubbed(reply, credential)


def _told(standing: Standing | None, flight: Flight) -> dict[str, Any]:
    """Return the stored answer again, its text as one piece, or raise the stored error."""
    stored = (standing.outcome if standing else None) or {}
    if "reply" in stored:
        answer = dict(stored["reply"])
        if answer["text"]:
            flight.say(answer["text"])
        return answer
    problem = stored.get("error") or {"code": "outcome_dropped", "message": "What the model said is not kept any more."}
    shown = {"detail": problem["message"], "code": problem["code"], "remedy": problem.get("remedy", "")}
    raise from_problem(int(problem.get("status", 422)), shown)


def _late() -> FreeholdError:
    return Unavailable(
        "The model's provider took too long.",
        code="provider_timeout",
        remedy="Try again, or raise FREEHOLD_MODEL_TIMEOUT.",
    )
