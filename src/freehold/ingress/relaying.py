"""
The relay: answers that wait in the outbox go to the gateway, each under one key until it is settled.

The key is the outbox row's, so however often the relay or its worker dies in between, the gateway and the
receiver know a repeat. A receiver that is away is tried again, later and later; one that says no is not.
"""

import asyncio
import contextlib
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, final

from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.effects import EffectState, Outcome
from freehold.core.errors import FreeholdError, NotFound, Unavailable
from freehold.core.runs import RunState
from freehold.ingress.channel import Answer, ChannelDriver, Sending
from freehold.store.looking import Look
from freehold.store.outbox import OutboxState, Outgoing
from freehold.store.platform import Due
from freehold.store.scope import Scope, Store
from freehold.store.threads import in_thread

log = logging.getLogger(__name__)

BACKOFF: Final = (2.0, 10.0, 30.0, 120.0, 600.0, 3600.0, 3600.0 * 5, 3600.0 * 12, 3600.0 * 24)
"""Seconds between attempts; after the last the answer counts as undeliverable."""
AT_ONCE: Final = 32
"""How many answers are on their way at once; a slow receiver must not hold up the others."""
POLL: Final = 1.0
CANCELLED: Final = {"code": "cancelled", "message": "The run was cancelled.", "remedy": "Send the message again."}


class Deliverer(Protocol):
    """The part of the gateway that the relay needs."""

    async def deliver(
        self, *, tenant: str, key: str, connection: str, operation: str, arguments: dict[str, Any], trace: str = ""
    ) -> Outcome:
        """Send something of the platform's own, once per key."""
        ...


@final
class Relay:
    """Takes what is due out of the outbox; one per worker."""

    def __init__(self, store: Store, gateway: Deliverer, channels: dict[str, ChannelDriver], *, clock: Clock) -> None:
        """Deliver through `gateway` what `channels` (by kind) spell."""
        self._store, self._gateway, self._channels, self._clock = store, gateway, channels, clock
        self._woken = asyncio.Event()
        self._put_in = Look(store.database, clock)
        self._flying: dict[Due, asyncio.Task[None]] = {}

    def wake(self) -> None:
        """Look at once: something was put into the outbox."""
        self._woken.set()

    async def run(self) -> None:
        """Relay until cancelled."""
        try:
            while True:
                if self._put_in.due() or self._woken.is_set():
                    self._woken.clear()
                    await self._look()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), POLL)
        finally:
            for task in self._flying.values():
                task.cancel()

    async def once(self) -> int:
        """Deliver what is due now, wait for it and return how many rows that were."""
        begun = await self._look()
        await asyncio.gather(*self._flying.values())
        return begun

    async def _look(self) -> int:
        try:
            due, later = await in_thread(self._due)
        except FreeholdError as error:
            log.warning("The outbox cannot be read: %s", error.message)
            self._put_in.again()
            return 0
        if later is not None:
            self._put_in.within((later - self._clock.now()).total_seconds())
        begun = [row for row in due if row not in self._flying][: AT_ONCE - len(self._flying)]
        for row in begun:
            task = asyncio.create_task(self._carry(row))
            self._flying[row] = task
            task.add_done_callback(lambda _task, row=row: self._landed(row))  # type: ignore[misc]
        return len(begun)

    def _landed(self, row: Due) -> None:
        del self._flying[row]
        self._woken.set()

    def _due(self) -> tuple[list[Due], datetime | None]:
        """Return what is to leave, and when the next is to."""
        now = self._clock.now()
        with self._store.read() as platform:
            return platform.due_outgoing(now, limit=AT_ONCE * 2), platform.next_outgoing(now)

    async def _carry(self, row: Due) -> None:
        try:
            await self._deliver(row)
        except FreeholdError as error:
            log.warning("The answer %s stays in the outbox: %s", row.id, error.message)
            await self._clock.sleep(POLL)
        except Exception:
            log.exception("The answer %s stays in the outbox.", row.id)
            await self._clock.sleep(POLL)

    async def _deliver(self, row: Due) -> None:
        outgoing, sending = await in_thread(self._spell, row)
        if outgoing is None:
            return
        if isinstance(sending, FreeholdError):
            settled = self._failed(outgoing, sending)
        else:
            settled = await self._sent(row, outgoing, sending)
        await in_thread(self._settle, row.tenant, settled)

    async def _sent(self, row: Due, outgoing: Outgoing, sending: Sending) -> Outgoing:
        try:
            outcome = await self._gateway.deliver(
                tenant=row.tenant,
                key=f"outbox/{row.id}",
                connection=sending.connection,
                operation=sending.operation,
                arguments=sending.arguments,
                trace=outgoing.trace,
            )
        except Unavailable as error:
            return self._later(outgoing, error)
        except FreeholdError as error:
            return self._failed(outgoing, error)
        return self._after(outgoing, outcome)

    def _after(self, outgoing: Outgoing, outcome: Outcome) -> Outgoing:
        if outcome.state is EffectState.DONE:
            return replace(outgoing, state=OutboxState.SENT, attempts=outgoing.attempts + 1, error=None)
        told = outcome.error or {"code": "unknown_outcome", "message": "The receiver's answer got lost."}
        if outcome.state in {EffectState.UNKNOWN, EffectState.OPEN}:
            return self._later(outgoing, Unavailable(told["message"], code=told["code"]))
        return replace(outgoing, state=OutboxState.FAILED, attempts=outgoing.attempts + 1, error=told)

    def _later(self, outgoing: Outgoing, error: Unavailable) -> Outgoing:
        """Return the row put off; what is about our own house says nothing about the receiver and costs no attempt."""
        if error.code in {"gateway_away", "effects_paused"}:
            return replace(outgoing, due_at=self._clock.now() + timedelta(seconds=error.after))
        if outgoing.attempts >= len(BACKOFF):
            return self._failed(outgoing, error)
        wait = max(BACKOFF[outgoing.attempts], error.after if error.code == "receiver_busy" else 0.0)
        due_at = self._clock.now() + timedelta(seconds=wait)
        return replace(outgoing, attempts=outgoing.attempts + 1, due_at=due_at, error=_told(error))

    def _failed(self, outgoing: Outgoing, error: FreeholdError) -> Outgoing:
        return replace(outgoing, state=OutboxState.FAILED, attempts=outgoing.attempts + 1, error=_told(error))

    def _spell(self, row: Due) -> tuple[Outgoing | None, Sending | FreeholdError]:
        """Return the row, if it is still to leave, and what to send; an error where nothing can be sent for it."""
        with self._store.tenant(row.tenant).read() as scope:
            outgoing = scope.outbox.get(row.id)
            if outgoing is None or outgoing.state is not OutboxState.PENDING:
                return None, NotFound("It has left already.")
            try:
                channel = scope.channels.get(outgoing.channel)
                return outgoing, self._channels[channel["kind"]].reply(channel, _answer(scope, outgoing))
            except NotFound as error:  # the channel or the message was removed meanwhile
                return outgoing, error

    def _settle(self, tenant: str, outgoing: Outgoing) -> None:
        with self._store.tenant(tenant).write() as scope:
            scope.outbox.put(outgoing)
            if outgoing.state is not OutboxState.PENDING:
                note(
                    scope.connection,
                    at=self._clock.now(),
                    tenant=tenant,
                    actor="outbox",
                    action=f"reply.{outgoing.state}",
                    subject=outgoing.id,
                    detail={"channel": outgoing.channel, "attempts": outgoing.attempts},
                    run=outgoing.run,
                )


def _answer(scope: Scope, outgoing: Outgoing) -> Answer:
    run = scope.runs.get(outgoing.run)
    message = scope.talk.message(run.message or "")
    conversation = scope.talk.conversation(message.conversation)
    error = run.error or (CANCELLED if run.state is RunState.CANCELLED else None)
    return Answer(
        message=message.id,
        conversation=conversation.id,
        thread=conversation.thread,
        run=run.id,
        at=run.ended_at or outgoing.created_at,
        text=None if error else run.output or "",
        error=error,
    )


def _told(error: FreeholdError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "remedy": error.remedy}
