"""What is said to an agent, by whatever way: written down, committed, and a worker nudged."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Header

from freehold.core.messages import Message, MessageState
from freehold.core.runs import Run, RunState
from freehold.failpoints import reach
from freehold.ingress.accepting import Accepted, Arrival, accept, check
from freehold.ingress.attaching import attach
from freehold.store.scope import Scope, Tenancy
from freehold.store.threads import in_thread
from freehold.tenants.quotas import foresee_files
from freehold.web.state import State
from freehold.web.views import moment

WEB: Final = "web"
_STATES: Final = {
    RunState.QUEUED: MessageState.QUEUED,
    RunState.RUNNING: MessageState.RUNNING,
    RunState.WAITING: MessageState.WAITING,
    RunState.PAUSED: MessageState.WAITING,
    RunState.DONE: MessageState.ANSWERED,
    RunState.FAILED: MessageState.FAILED,
    RunState.CANCELLED: MessageState.FAILED,
}
_CANCELLED: Final = {"code": "cancelled", "message": "The run was cancelled.", "remedy": "Send the message again."}

Traceparent = Annotated[str, Header(max_length=200, description="W3C trace context that the run carries on.")]


async def arrived(
    state: State, tenancy: Tenancy, arrival: Arrival, attachments: Sequence[Mapping[str, Any]] = ()
) -> Accepted:
    """Accept `arrival` with its files; once this returns all is durable, and a worker has been told."""
    if attachments:
        check(arrival.text, attachments, state.limits)
        await in_thread(_foresee, state, tenancy, arrival, attachments)
        kept = await attach(state.files(tenancy.tenant), attachments)
        arrival = replace(arrival, attachments=kept)
    return await in_thread(_take_in, state, tenancy, arrival)


def _foresee(state: State, tenancy: Tenancy, arrival: Arrival, attachments: Sequence[Mapping[str, Any]]) -> None:
    """Refuse files that there is no room for before any is kept; those of a message we know are kept already."""
    size = sum(len(str(attached.get("content", ""))) for attached in attachments) * 3 // 4  # four letters, three bytes
    with tenancy.read() as scope:
        if not (arrival.key and scope.idempotency.knows(arrival.place, arrival.key)):
            least = max(size - 2 * len(attachments), 0)  # but for padding
            foresee_files(scope.connection, tenancy.tenant, at=state.clock.now(), size=least)


def _take_in(state: State, tenancy: Tenancy, arrival: Arrival) -> Accepted:
    state.store.database.require_room()
    with tenancy.write() as scope:
        accepted = accept(scope, state.engine, arrival, limits=state.limits, ids=state.ids, clock=state.clock)
        reach(WEB, "intent")
    reach(WEB, "stored")
    if not accepted.fresh:
        state.metrics.count("freehold_duplicates_suppressed_total", kind="message")
    nudge(state)
    return accepted


def nudge(state: State) -> None:
    """Tell the workers, and our own streams, that something was committed."""
    reach(WEB, "sent")
    state.worker.send({"kick": True})
    state.tail.poke()
    reach(WEB, "answered")


def told(scope: Scope, message: Message, run: Run) -> dict[str, Any]:
    """Return a message as its sender sees it, with its run and, once there is one, its answer."""
    failed = run.error or (_CANCELLED if run.state is RunState.CANCELLED else None)
    shown: dict[str, Any] = {
        "message": {
            "id": message.id,
            "state": str(_state(scope, run)),
            "conversation": message.conversation,
            "agent": message.agent,
            "text": message.text,
            "sender": message.sender,
            "created_at": moment(message.created_at),
        },
        "run": {"id": run.id, "state": str(run.state), "version": run.version},
    }
    if message.attachments:
        shown["message"]["attachments"] = [
            {name: attached[name] for name in ("name", "type", "size")} for attached in message.attachments
        ]
    if run.waits_for is not None:
        shown["run"]["waits_for"] = str(run.waits_for)
    if run.state is RunState.DONE:
        shown["reply"] = {"text": run.output or ""}
    if failed is not None:
        shown["error"] = {name: failed.get(name, "") for name in ("code", "message", "remedy")}
    return shown


def _state(scope: Scope, run: Run) -> MessageState:
    """Return the state of the message that `run` answers; received: an earlier turn goes first."""
    if run.state is RunState.QUEUED and run.conversation is not None:
        turn = scope.runs.turn_of(run.conversation)
        return MessageState.QUEUED if turn is None or turn.id == run.id else MessageState.RECEIVED
    return _STATES[run.state]
