"""
Model calls: found their way, written down, made once, metered.

A call that broke off is *unknown* and may be tried again under its key, as a second attempt with a usage row of
its own: a model call costs money but changes nothing. A provider that said no is remembered as such.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any, final

import msgspec
from sqlalchemy import Connection as Tx

from freehold.core.effects import EffectState, Verdict
from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable, from_problem
from freehold.core.money import UsageKind, UsageState
from freehold.failpoints import reach
from freehold.gateway import ledger, metering, secrets, switches, versions
from freehold.gateway.connections import Drivers
from freehold.gateway.flights import Flight, Flights
from freehold.gateway.keeping import Keep
from freehold.gateway.ledger import CHAT, Intent
from freehold.gateway.ports import Credential, ModelCall, ModelReply, NotSent
from freehold.gateway.prices import Price, Prices
from freehold.gateway.requests import ChatRequest
from freehold.gateway.scrubbing import Scrubbed, scrubbed
from freehold.gateway.steps import Step, next_step
from freehold.gateway.versions import Route

log = logging.getLogger(__name__)


@final
class Models:
    """The way to every model."""

    def __init__(
        self, keep: Keep, drivers: Drivers, flights: Flights, prices: Prices, *, rehearsal: bool, seconds: float
    ) -> None:
        """Call through `drivers`; `rehearsal` allows the built-in model, `seconds` is the longest a call may take."""
        self._keep, self._drivers, self._flights, self._prices = keep, drivers, flights, prices
        self._rehearsal, self._seconds = rehearsal, seconds

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
        route, credential = await self._keep.read(lambda tx: self._way(tx, request))
        price = self._prices.known(route.connected.kind, route.connected.config, route.model)
        if price is None:
            price = await asyncio.to_thread(
                self._prices.look_up, route.connected.config, route.model, at=self._keep.now()
            )
        opened, stored = await self._keep.write(lambda tx: self._open(tx, intent, route, price))
        if opened is None:
            return _told(stored, flight)
        reach("gateway", "intent")
        told = Scrubbed(credential, flight.say)
        call = ModelCall(
            model=route.model,
            body=request.body,
            config=route.connected.config,
            credential=credential,
            run=request.run,
            sent=lambda: reach("gateway", "sent"),
            on_text=told.say,
        )
        try:
            async with asyncio.timeout(self._seconds):
                reply = scrubbed(await self._drivers.models[route.connected.kind].chat(call), credential)
        except Exception as error:
            broke = _translated(error)
            await self._keep.write(lambda tx: self._broke(tx, intent, opened, broke))
            raise broke from error
        told.finish()
        reach("gateway", "answered")
        answer = _answer(reply, price)
        await self._keep.write(lambda tx: self._close(tx, intent, opened, reply, answer))
        reach("gateway", "stored")
        return answer

    def _way(self, tx: Tx, request: ChatRequest) -> tuple[Route, Credential]:
        grants = versions.granted(tx, tenant=request.tenant, agent=request.agent, version=request.version)
        if grants.model != request.model:
            raise Denied(
                "This version was granted another model.", code="model_not_granted", remedy="Make a version with it."
            )
        route = versions.route(tx, self._drivers, tenant=request.tenant, model=request.model, rehearsal=self._rehearsal)
        return route, secrets.opened(tx, self._keep, tenant=route.connected.owner, name=route.connected.secret)

    def _open(self, tx: Tx, intent: Intent, route: Route, price: Price) -> tuple[str | None, dict[str, Any]]:
        ledger.take_epoch(tx, tenant=intent.tenant, run=intent.run, epoch=intent.epoch)
        standing = ledger.look(tx, self._keep, tenant=intent.tenant, key=intent.key)
        step = next_step(standing, verdict=Verdict.ALLOW, hash=intent.hash, at=self._keep.now())
        if step is not Step.OPEN:
            return None, (standing.outcome if standing else None) or {}
        switches.require_effects(tx, intent.tenant)
        ledger.write(
            tx, self._keep, intent, state=EffectState.OPEN, first=standing is None, verdict=Verdict.ALLOW, again=True
        )
        kind, provider = UsageKind.MODEL, route.connected.name
        opened = metering.begin(tx, self._keep, intent, kind=kind, model=route.model, provider=provider, price=price.id)
        return opened, {}

    def _close(self, tx: Tx, intent: Intent, opened: str, reply: ModelReply, answer: dict[str, Any]) -> None:
        counts = {
            "tokens_in": reply.usage_in,
            "tokens_out": reply.usage_out,
            "cost_nano": answer["cost_nano"],
            "estimated": reply.estimated,
        }
        metering.end(tx, self._keep, tenant=intent.tenant, usage_id=opened, state=UsageState.CLOSED, **counts)
        self._done(tx, intent, EffectState.DONE, {"reply": answer}, counts)

    def _broke(self, tx: Tx, intent: Intent, opened: str, error: FreeholdError) -> None:
        unsure = isinstance(error, Unavailable) and not isinstance(error, NotSent) and error.code != "provider_busy"
        state = UsageState.UNSETTLED if unsure else UsageState.CLOSED
        metering.end(tx, self._keep, tenant=intent.tenant, usage_id=opened, state=state)
        told = {"code": error.code, "message": error.message, "remedy": error.remedy, "status": str(error.status)}
        became = EffectState.FAILED if isinstance(error, Invalid | Denied) else EffectState.UNKNOWN
        self._done(tx, intent, became, {"error": told}, {"code": error.code})

    def _done(
        self, tx: Tx, intent: Intent, state: EffectState, outcome: dict[str, Any], detail: dict[str, Any]
    ) -> None:
        ledger.close(
            tx,
            self._keep,
            tenant=intent.tenant,
            key=intent.key,
            state=state,
            outcome=outcome,
            actor=intent.actor,
            detail=detail,
        )


def _answer(reply: ModelReply, price: Price) -> dict[str, Any]:
    return {
        "text": reply.text,
        "calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in reply.calls],
        "finish": reply.finish,
        "usage_in": reply.usage_in,
        "usage_out": reply.usage_out,
        "cost_nano": price.cost(reply.usage_in, reply.usage_out),
        "model": reply.model,
    }


def _told(stored: dict[str, Any], flight: Flight) -> dict[str, Any]:
    """Return the stored answer again, its text as one piece, or raise the stored error."""
    if "reply" in stored:
        answer = dict(stored["reply"])
        if answer["text"]:
            flight.say(answer["text"])
        return answer
    problem = stored.get("error") or {"code": "outcome_dropped", "message": "What the model said is not kept any more."}
    shown = {"detail": problem["message"], "code": problem["code"], "remedy": problem.get("remedy", "")}
    raise from_problem(int(problem.get("status", 422)), shown)


def _translated(error: Exception) -> FreeholdError:
    if isinstance(error, TimeoutError):
        return Unavailable(
            "The model's provider took too long.",
            code="provider_timeout",
            remedy="Try again, or raise FREEHOLD_MODEL_TIMEOUT.",
        )
    if isinstance(error, FreeholdError):
        return error
    log.error("A model driver broke.", exc_info=error)
    return FreeholdError("The call to the model broke on our side.", remedy="See the gateway's log.")
