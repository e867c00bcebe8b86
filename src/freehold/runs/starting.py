"""Starting a run: a row, its first part, and a place in the queue, in the caller's transaction."""

from datetime import datetime, timedelta
from typing import Final

from freehold.audit.canonical import digest
from freehold.core.agents import Agent
from freehold.core.clock import Clock
from freehold.core.errors import Invalid
from freehold.core.ids import NewId
from freehold.core.parts import Part
from freehold.core.runs import Run, Trigger
from freehold.runs.engine import NO_SLOT, Engine
from freehold.runs.tracing import carried_on
from freehold.store.scope import Scope
from freehold.tenants.activity import require_active

MAX_DEPTH: Final = 8
"""How many levels of delegation there may be below a run that a person or a clock started."""


def start(
    scope: Scope,
    engine: Engine,
    *,
    ids: NewId,
    clock: Clock,
    agent: Agent,
    trigger: Trigger,
    input: Part,  # noqa: A002 - the noun's own word
    attended: bool,
    conversation: str | None = None,
    message: str | None = None,
    parent: Run | None = None,
    call: str | None = None,
    trace: str = "",
    deadline: datetime | None = None,
    slots: int,
    run_hours: float,
) -> Run:
    """
    Write down a run of one of the agent's versions with its `input` as first part, and queue it.

    A conversation's turns go one at a time: while another is not over, the run waits for its turn, and the end
    of that one submits it. Raises `Invalid` (`too_deep`) below the deepest level of delegation, and
    (`deadline_passed`) for a deadline that is not ahead; `Conflict` (`tenant_not_active`) where nothing runs.
    """
    require_active(scope.connection, scope.tenant)
    now = clock.now()
    its_turn = conversation is None or scope.runs.turn_of(conversation) is None
    run_id = ids("run")
    run = Run(
        id=run_id,
        agent=agent.id,
        version=_version(scope, agent, run_id, conversation),
        trigger=trigger,
        created_at=now,
        conversation=conversation,
        message=message,
        parent=None if parent is None else parent.id,
        call=call,
        depth=0 if parent is None else _deeper(parent),
        attended=attended,
        trace=carried_on(trace or ("" if parent is None else parent.trace)),
        input=str(input.content.get("text", "")),
        slot=scope.runs.least_busy_slot(slots) if its_turn else NO_SLOT,
        deadline=_ahead(deadline, now) or now + timedelta(hours=run_hours),
    )
    scope.runs.add(run)
    scope.parts.append(run.id, input, segment=0, conversation=conversation, digest=digest(input.content))
    scope.events.append(run.id, "run.queued", {"trigger": trigger}, at=now)
    if its_turn:
        engine.submit(scope.connection, tenant=scope.tenant, run=run.id, segment=run.segment, slot=run.slot)
    return run


def delegate(
    scope: Scope,
    engine: Engine,
    *,
    ids: NewId,
    clock: Clock,
    parent: Run,
    call: str,
    input: Part,  # noqa: A002
) -> Run:
    """Start a child of `parent`: same agent and version, same deadline, one level deeper."""
    agent = scope.agents.find(parent.agent).fixed(parent.version)
    return start(
        scope,
        engine,
        ids=ids,
        clock=clock,
        agent=agent,
        trigger=Trigger.CHILD,
        input=input,
        attended=parent.attended,
        parent=parent,
        call=call,
        deadline=parent.deadline,
        slots=engine.slots,
        run_hours=0,
    )


def _version(scope: Scope, agent: Agent, run: str, conversation: str | None) -> str:
    """Return the version that the run starts with; a conversation stays on one while another is tried."""
    if agent.trial is None:
        return agent.version
    before = None if conversation is None else scope.runs.last_version(conversation)
    return agent.begins(conversation or run) if before is None else agent.goes_on(before)


def _deeper(parent: Run) -> int:
    if parent.depth >= MAX_DEPTH:
        raise Invalid(
            f"A task can be delegated {MAX_DEPTH} levels deep, and this run is that deep already.",
            code="too_deep",
            remedy="Do the task in this run.",
        )
    return parent.depth + 1


def _ahead(deadline: datetime | None, now: datetime) -> datetime | None:
    if deadline is not None and deadline <= now:
        raise Invalid("The deadline has passed already.", code="deadline_passed", remedy="Name a time ahead.")
    return deadline
