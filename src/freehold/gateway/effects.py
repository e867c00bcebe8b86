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
from freehold.core.tools import Tool
from freehold.failpoints import reach
from freehold.gateway import connections, extending, ledger, opening, switches, tools, versions
from freehold.gateway.connections import MAIL, Drivers
from freehold.gateway.credentials import opened_for
from freehold.gateway.flights import Flight, Flights
from freehold.gateway.grants import judge
from freehold.gateway.keeping import Keep
from freehold.gateway.ledger import Intent
from freehold.gateway.money import meter
from freehold.gateway.opening import Opened, Way
from freehold.gateway.ports import ConnectorCall, NotSent, Reached
from freehold.gateway.requests import DeliverRequest, MailRequest, SubmitRequest
from freehold.gateway.steps import Standing, Step, next_step
from freehold.gateway.tables import Decision
from freehold.gateway.tokens import Stale
from freehold.gateway.tools import hash_of

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
            opened = await self._keep.write(lambda tx: self._open(tx, intent, governed=governed))
        except Stale:  # only what is really to be carried out comes so far, and nothing of it is written down yet
            await self._ready(intent.tenant, intent.connection)
            opened = await self._keep.write(lambda tx: self._open(tx, intent, governed=governed))
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
            return await self._broke(intent, opened, error, again=way.again)
        reach("gateway", "answered")
        outcome = Outcome(state=EffectState.DONE, hash=intent.hash, result=result, kind=way.tool.kind)
        outcome = await self._written(intent, opened, outcome, UsageState.CLOSED)
        reach("gateway", "stored")
        if result.get("status") == UNAUTHORIZED:
            await self._doubted(intent.tenant, intent.connection)
        return outcome

    def _open(self, tx: Tx, intent: Intent, *, governed: bool) -> Opened:  # noqa: PLR0911 - one per step
        verdict = self._judged(tx, intent) if governed else Verdict.ALLOW
        standing = ledger.look(tx, self._keep, tenant=intent.tenant, key=intent.key)
        step = next_step(standing, verdict=verdict, hash=intent.hash, at=self._keep.now())
        match step:
            case Step.OPEN:
                switches.require_effects(tx, intent.tenant)
                return self._begin(tx, intent, standing, verdict=verdict, governed=governed)
            case Step.ASK:
                return self._ask(tx, intent)
            case Step.REFUSE:
                return self._end(tx, intent, EffectState.REFUSED, opening.NOT_GRANTED, first=True)
            case Step.EXPIRE:
                return self._end(tx, intent, EffectState.EXPIRED, opening.EXPIRED, first=False)
            case Step.TELL:
                return Opened(outcome=opening.told_of(standing, intent))

    def _ask(self, tx: Tx, intent: Intent) -> Opened:
        kind = self._kind(tx, intent)
        ledger.write(
            tx,
            self._keep,
            intent,
            state=EffectState.ASKED,
            first=True,
            verdict=Verdict.ASK,
            kind=kind,
            expires_at=self._keep.now() + self._patience,
        )
        return Opened(outcome=Outcome(state=EffectState.ASKED, hash=intent.hash, kind=kind))

    def _kind(self, tx: Tx, intent: Intent) -> str:
        """Return what would be done, for whoever is asked about it; empty for what the sandbox does."""
        if intent.connection == BUDGET:
            return EffectKind.SPEND
        connected = connections.find(tx, self._drivers, tenant=intent.tenant, name=intent.connection)
        tool = tools.find(tx, self._drivers, connected, intent.operation) if connected else None
        return tool.kind if tool else ""

    def _judged(self, tx: Tx, intent: Intent) -> Verdict:
        ledger.take_epoch(tx, tenant=intent.tenant, run=intent.run, epoch=intent.epoch)
        grants = versions.granted(tx, tenant=intent.tenant, agent=intent.agent, version=intent.version)
        if intent.connection == BUDGET:
            return extending.judged(tx, self._keep, intent)
        return judge(grants, connection=intent.connection, operation=intent.operation)

    def _begin(self, tx: Tx, intent: Intent, standing: Standing | None, *, verdict: Verdict, governed: bool) -> Opened:
        if governed and intent.connection == BUDGET:
            result = extending.carried_out(tx, self._keep, intent, by=standing.decided_by if standing else "")
            return Opened(outcome=Outcome(state=EffectState.DONE, hash=intent.hash, result=result))
        way = None if governed and intent.connection == SANDBOX else self._way(tx, intent, governed=governed)
        if governed and way is not None and not self._pinned(tx, intent, way.tool):
            state = EffectState.FAILED if standing and standing.attempts else EffectState.REFUSED
            return self._end(tx, intent, state, opening.CHANGED, first=standing is None)
        approver = standing.decided_by if standing and standing.decision is Decision.APPROVED else ""
        ledger.write(
            tx,
            self._keep,
            intent,
            state=EffectState.OPEN,
            first=standing is None,
            verdict=verdict if governed else None,
            approver=approver,
            kind=way.tool.kind if way else "",
            again=way is not None and way.again,
        )
        outcome = Outcome(state=EffectState.OPEN, hash=intent.hash)
        if way is None:
            return Opened(outcome=outcome)
        kind = UsageKind.MAIL if intent.connection == MAIL else UsageKind(way.connected.kind)
        usage = meter.open(tx, self._keep, opening.opening_of(intent, kind, self._keep.now()))
        return Opened(outcome=outcome, way=way, usage=usage, attempts=1 + (standing.attempts if standing else 0))

    def _pinned(self, tx: Tx, intent: Intent, tool: Tool) -> bool:
        """Return whether the tool is still what the version was granted."""
        grants = versions.granted(tx, tenant=intent.tenant, agent=intent.agent, version=intent.version)
        pin = grants.pins.get(f"{intent.connection}.{intent.operation}")
        return pin == hash_of(tool) if pin is not None else not tool.how

    def _way(self, tx: Tx, intent: Intent, *, governed: bool) -> Way:
        connected = connections.find(tx, self._drivers, tenant=intent.tenant, name=intent.connection)
        driver = self._drivers.connectors.get(connected.kind) if connected else None
        tool = tools.find(tx, self._drivers, connected, intent.operation) if connected else None
        if connected is None or driver is None or tool is None:
            raise tools.missing(connected, intent.connection, intent.operation)
        if not governed and intent.tenant and not driver.replies:
            raise Denied("Nothing is delivered through this connection.", code="not_granted")
        to = Reached(
            owner=connected.owner,
            name=connected.name,
            config=connected.config,
            credential=opened_for(tx, self._keep, connected),
            behalf=connected.behalf(intent.tenant),
        )
        return Way(driver=driver, tool=tool, connected=connected, to=to)

    def _end(self, tx: Tx, intent: Intent, state: EffectState, error: dict[str, str], *, first: bool) -> Opened:
        verdict = Verdict.DENY if state is EffectState.REFUSED else None
        ledger.write(tx, self._keep, intent, state=state, first=first, verdict=verdict, outcome={"error": error})
        return Opened(outcome=Outcome(state=state, hash=intent.hash, error=error))

    async def _broke(self, intent: Intent, opened: Opened, error: Exception, *, again: bool) -> Outcome:
        if not isinstance(error, FreeholdError):
            log.error("A connector broke.", exc_info=error)
        told = opening.problem_of(error)
        sure = isinstance(error, Invalid | Denied | NotSent) and not (again and isinstance(error, NotSent))
        state = EffectState.FAILED if sure else EffectState.UNKNOWN
        outcome = opened.came(state, told)
        metered = UsageState.CLOSED if sure else UsageState.UNSETTLED
        outcome = await self._written(intent, opened, outcome, metered)
        if not again or sure:
            return outcome
        # The next attempt under the key is as good as the first: nobody has to look.
        if isinstance(error, Unavailable):
            raise error
        raise Unavailable(told["message"], code=told["code"]) from error

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
