"""
Effects: judged, written down, carried out once, written down again.

What belongs to the sandbox is opened here and carried out by the worker, which settles it; everything else is
carried out here by a connector. What broke off half-way is *unknown* and stays so, unless the connection does a
thing once per key: then the same key may try again.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.audit.canonical import canonical, digest
from freehold.core.effects import BUDGET, SANDBOX, Effect, EffectKind, EffectState, Outcome, Verdict
from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.core.money import UsageKind, UsageState
from freehold.failpoints import reach
from freehold.gateway import doubting, extending, ledger, opening, switches, versions, ways
from freehold.gateway.connections import MAIL, Drivers
from freehold.gateway.flights import Flight, Flights
from freehold.gateway.grants import Grants, judge
from freehold.gateway.keeping import Keep
from freehold.gateway.ledger import Intent
from freehold.gateway.money import meter
from freehold.gateway.opening import Opened, Way
from freehold.gateway.ports import ConnectorCall, NotSent
from freehold.gateway.requests import DeliverRequest, MailRequest, SubmitRequest
from freehold.gateway.steps import Standing, Step, next_step
from freehold.gateway.tables import Decision
from freehold.gateway.tokens import Stale

log = logging.getLogger(__name__)

MAX_ARGUMENTS: Final = 1 << 20
UNAUTHORIZED: Final = 401


@final
class Effects:
    """The way to everything that is no model."""

    def __init__(
        self,
        keep: Keep,
        drivers: Drivers,
        flights: Flights,
        *,
        approval_hours: float,
        extended: Callable[[str], None] = lambda _tenant: None,
        ready: Callable[[str, str], Awaitable[None]],
        doubted: Callable[[str, str], Awaitable[None]],
    ) -> None:
        """
        Tell `extended` of a tenant whose limit a run may pass.

        Have the account behind a tenant's connection prolonged by `ready`; an API that does not know it is `doubted`.
        """
        self._keep, self._drivers, self._flights = keep, drivers, flights
        self._extended, self._ready, self._doubted = extended, ready, doubted
        self._patience = timedelta(hours=approval_hours)

    def under_way(self, tenant: str, key: str) -> bool:
        """Return whether the effect under `key` is being carried out now."""
        return self._flights.under_way(tenant, key)

    async def submit(self, request: SubmitRequest) -> Outcome:
        """Return what becomes of a run's effect."""
        intent = self._intent(
            request.effect,
            tenant=request.tenant,
            run=request.run,
            agent=request.agent,
            version=request.version,
            epoch=request.epoch,
            trace=request.trace,
        )
        return await self._take(intent, request.effect, governed=True)

    async def deliver(self, request: DeliverRequest) -> Outcome:
        """Return what becomes of a channel's reply, which no version needs to be granted."""
        intent = self._intent(request.effect, tenant=request.tenant, trace=request.trace, by="outbox")
        return await self._take(intent, request.effect, governed=False)

    async def mail(self, request: MailRequest) -> None:
        """Send a mail of the platform's own; raise `Unavailable` unless it was sent."""
        arguments: dict[str, Any] = {"to": request.to, "subject": request.subject, "text": request.text}
        arguments |= {"decoy": True} if request.decoy else {}
        effect = Effect(key=request.key, connection=MAIL, operation="send", arguments=arguments)
        outcome = await self._take(self._intent(effect, tenant="", by="platform"), effect, governed=False)
        if outcome.state is not EffectState.DONE:
            error = outcome.error or {}
            raise Unavailable(
                error.get("message", "The mail may not have been sent."),
                code=error.get("code", "mail_unknown"),
                remedy=error.get("remedy", ""),
            )

    def _intent(self, effect: Effect, **whom: Any) -> Intent:
        arguments = canonical(effect.arguments)
        if len(arguments) > MAX_ARGUMENTS:
            raise Invalid("The arguments are too large.", code="too_large", status=413, remedy="Send less at once.")
        bound = {"connection": effect.connection, "operation": effect.operation, "arguments": effect.arguments}
        return Intent(
            key=effect.key,
            hash=digest(bound),
            connection=effect.connection,
            operation=effect.operation,
            arguments=arguments,
            **whom,
        )

    async def _take(self, intent: Intent, effect: Effect, *, governed: bool) -> Outcome:
        async def fly(_flight: Flight) -> Outcome:
            return await self._fly(intent, effect, governed=governed)

        async def newer() -> None:
            await self._keep.write(
                lambda tx: ledger.take_epoch(tx, tenant=intent.tenant, run=intent.run, epoch=intent.epoch)
            )

        outcome = await self._flights.take(
            intent.tenant, intent.key, hash=intent.hash, epoch=intent.epoch, fly=fly, newer=newer
        )
        return outcome if isinstance(outcome, Outcome) else Outcome(**outcome)

    async def _fly(self, intent: Intent, effect: Effect, *, governed: bool) -> Outcome:
        try:
            opened = await self._opened(intent, governed=governed)
        except FreeholdError as error:
            raise (await self._doubt(intent, error) if governed else error) from error
        way = opened.way
        if way is None:
            if intent.connection == BUDGET:
                self._extended(intent.tenant)
            return opened.outcome
        reach("gateway", "intent")
        call = ConnectorCall(
            key=effect.key, tool=way.tool, arguments=effect.arguments, to=way.to, sent=lambda: reach("gateway", "sent")
        )
        try:
            result = await way.driver.perform(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is written down
            return await self._broke(intent, opened, error, way, governed=governed)
        reach("gateway", "answered")
        outcome = Outcome(state=EffectState.DONE, hash=intent.hash, result=result, kind=way.tool.kind)
        outcome = await self._written(intent, opened, outcome, UsageState.CLOSED)
        reach("gateway", "stored")
        if result.get("status") == UNAUTHORIZED:
            await self._doubted(intent.tenant, intent.connection)
        return outcome

    async def _opened(self, intent: Intent, *, governed: bool) -> Opened:
        try:
            return await self._keep.write(lambda tx: self._open(tx, intent, governed=governed))
        except Stale:  # only what is really to be carried out comes so far, and nothing of it is written down yet
            await self._ready(intent.tenant, intent.connection)
            return await self._keep.write(lambda tx: self._open(tx, intent, governed=governed))

    async def _doubt(self, intent: Intent, error: FreeholdError) -> FreeholdError:
        which = {"tenant": intent.tenant, "key": intent.key}
        return doubting.raised(error, await self._keep.read(lambda tx: ledger.look(tx, self._keep, **which)))

    def _open(self, tx: Tx, intent: Intent, *, governed: bool) -> Opened:  # noqa: PLR0911 - one per step
        grants = self._granted(tx, intent) if governed else None
        verdict = Verdict.ALLOW if grants is None else self._judged(tx, intent, grants)
        standing = ledger.look(tx, self._keep, tenant=intent.tenant, key=intent.key)
        step = next_step(standing, verdict=verdict, hash=intent.hash, at=self._keep.now())
        match step:
            case Step.OPEN:
                switches.require_effects(tx, intent.tenant)
                return self._begin(tx, intent, standing, verdict=verdict, grants=grants)
            case Step.ASK:
                return self._ask(tx, intent)
            case Step.REFUSE:
                return self._end(tx, intent, EffectState.REFUSED, opening.NOT_GRANTED, first=True)
            case Step.EXPIRE:
                return self._end(tx, intent, EffectState.EXPIRED, opening.EXPIRED, first=False)
            case Step.TELL:
                return Opened(outcome=opening.told_of(standing, intent))

    def _ask(self, tx: Tx, intent: Intent) -> Opened:
        budget = intent.connection == BUDGET
        kind, mark = (EffectKind.SPEND, "") if budget else ways.seen(tx, self._drivers, intent)
        ledger.write(
            tx,
            self._keep,
            intent,
            state=EffectState.ASKED,
            first=True,
            verdict=Verdict.ASK,
            kind=kind or "",
            mark=mark,
            expires_at=self._keep.now() + self._patience,
        )
        return Opened(outcome=Outcome(state=EffectState.ASKED, hash=intent.hash, kind=kind or ""))

    def _granted(self, tx: Tx, intent: Intent) -> Grants:
        ledger.take_epoch(tx, tenant=intent.tenant, run=intent.run, epoch=intent.epoch)
        return versions.granted(tx, tenant=intent.tenant, agent=intent.agent, version=intent.version)

    def _judged(self, tx: Tx, intent: Intent, grants: Grants) -> Verdict:
        if intent.connection == BUDGET:
            return extending.judged(tx, self._keep, intent)
        return judge(grants, connection=intent.connection, operation=intent.operation)

    def _begin(
        self, tx: Tx, intent: Intent, standing: Standing | None, *, verdict: Verdict, grants: Grants | None
    ) -> Opened:
        if grants and intent.connection == BUDGET:
            result = extending.carried_out(tx, self._keep, intent, by=standing.decided_by if standing else "")
            return Opened(outcome=Outcome(state=EffectState.DONE, hash=intent.hash, result=result))
        inside = intent.connection == SANDBOX
        way = None if grants and inside else ways.found(tx, self._keep, self._drivers, intent, governed=bool(grants))
        if grants and way and (why := ways.objection(intent, standing, grants, way)):
            return self._held(tx, intent, standing, why, way)
        approver = standing.decided_by if standing and standing.decision is Decision.APPROVED else ""
        ledger.write(
            tx,
            self._keep,
            intent,
            state=EffectState.OPEN,
            first=standing is None,
            verdict=verdict if grants else None,
            approver=approver,
            kind=way.tool.kind if way else "",
            mark=way.mark if way else None,
            again=way is not None and way.again,
        )
        outcome = Outcome(state=EffectState.OPEN, hash=intent.hash)
        if way is None:
            return Opened(outcome=outcome)
        kind = UsageKind.MAIL if intent.connection == MAIL else UsageKind(way.connected.kind)
        usage = meter.open(tx, self._keep, opening.opening_of(intent, kind, self._keep.now()))
        attempts = 1 + (standing.attempts if standing else 0)
        doubtful = doubting.doubtful(standing)
        return Opened(outcome=outcome, way=way, usage=usage, attempts=attempts, doubtful=doubtful)

    def _held(self, tx: Tx, intent: Intent, standing: Standing | None, why: dict[str, str], way: Way) -> Opened:
        """Let nothing be done by a way that is another now; about what may have happened, a person is asked once more."""
        if standing is None or not doubting.doubtful(standing):
            state = EffectState.FAILED if standing and standing.attempts else EffectState.REFUSED
            return self._end(tx, intent, state, why, first=standing is None)
        error = doubting.said(why)
        state = EffectState.UNKNOWN if why is opening.ALTERED else EffectState.FAILED
        ledger.write(tx, self._keep, intent, state=state, first=False, mark=way.mark, outcome={"error": error})
        outcome = Outcome(state=state, hash=intent.hash, error=error, kind=standing.kind, attempts=standing.attempts)
        return Opened(outcome=outcome)

    def _end(self, tx: Tx, intent: Intent, state: EffectState, error: dict[str, str], *, first: bool) -> Opened:
        verdict = Verdict.DENY if state is EffectState.REFUSED else None
        ledger.write(tx, self._keep, intent, state=state, first=first, verdict=verdict, outcome={"error": error})
        return Opened(outcome=Outcome(state=state, hash=intent.hash, error=error))

    async def _broke(self, intent: Intent, opened: Opened, error: Exception, way: Way, *, governed: bool) -> Outcome:
        if not isinstance(error, FreeholdError):
            log.error("A connector broke.", exc_info=error)
        told, unsent = opening.problem_of(error), isinstance(error, NotSent)
        sure = isinstance(error, Invalid | Denied) or (unsent and not way.again)
        harmless = sure or unsent or way.tool.kind is EffectKind.READ
        if governed and (opened.doubtful or (way.again and not harmless)):
            told = doubting.said(told)
        state = EffectState.FAILED if sure else EffectState.UNKNOWN
        outcome = opened.came(state, told)
        metered = UsageState.CLOSED if sure else UsageState.UNSETTLED
        outcome = await self._written(intent, opened, outcome, metered)
        if not way.again or sure:
            return outcome
        # The next attempt under the key is as good as the first: nobody has to look.
        away = error if isinstance(error, Unavailable) else Unavailable("")
        raise Unavailable(told["message"], after=away.after, code=told["code"], remedy=told["remedy"]) from error

    async def _written(self, intent: Intent, opened: Opened, outcome: Outcome, metered: UsageState) -> Outcome:
        """Write down what came of it and return that; what cannot be written down is unknown, never an error."""
        try:
            await self._keep.write(lambda tx: self._close(tx, intent, opened.usage, outcome, metered))
        except Exception as error:
            log.exception("What came of %s cannot be written down.", intent.key)
            if opened.way is not None and opened.way.again:
                raise Unavailable(opening.NOT_WRITTEN["message"], code=opening.NOT_WRITTEN["code"]) from error
            return opened.came(EffectState.UNKNOWN, opening.NOT_WRITTEN)
        return outcome

    def _close(self, tx: Tx, intent: Intent, usage: str, outcome: Outcome, metered: UsageState) -> None:
        stored = {"result": outcome.result} if outcome.error is None else {"error": outcome.error}
        size = ledger.close(
            tx,
            self._keep,
            tenant=intent.tenant,
            key=intent.key,
            state=outcome.state,
            outcome=stored,
            actor=intent.actor,
            detail={"code": outcome.error["code"]} if outcome.error else {},
        )
        meter.close(tx, self._keep, tenant=intent.tenant, usage_id=usage, state=metered, bytes_out=size)
