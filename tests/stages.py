"""A stage for runs: a real database, an engine in memory, a clock wound by hand, and bodies that tests write."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from freehold.core.agents import Agent, Spec, Version
from freehold.core.ids import Ids
from freehold.core.messages import Conversation, Message
from freehold.core.parts import Label, Origin, Part, Role
from freehold.core.runs import Run, Trigger
from freehold.core.tenants import Tenant, TenantState
from freehold.runs.ending import Closing
from freehold.runs.endings import Done, Ending
from freehold.runs.nudging import Nudge
from freehold.runs.pausing import pause_all, put_in_place, unpause_all
from freehold.runs.segment import Segment
from freehold.runs.segments import Segments
from freehold.runs.starting import start
from freehold.store.db import Database, sqlite_address
from freehold.store.scope import Store
from freehold.testing.clock import START, FakeClock
from freehold.testing.engine import MemoryEngine
from tests.shelves import shelve

ACME = Tenant(id="ten_acme", slug="acme", name="Acme", uid=1, created_at=START, state=TenantState.ACTIVE)
AGENT = Agent(id="agt_1", name="helper", version="ver_1", created_at=START)
VERSION = Version(id="ver_1", agent="agt_1", number=1, spec=Spec(model="rehearsal"), created_at=START)
SLOTS = 2

Script = Callable[[Segment], Awaitable[Ending]]


async def echo(segment: Segment) -> Ending:
    """Answer with what was said."""
    return Done(segment.run.input)


def furnish(store: Store) -> None:
    """Put the tenant and the agent into the database."""
    with store.write() as platform:
        platform.tenants.add(ACME)
    with store.tenant(ACME.id).write() as scope:
        scope.agents.add(AGENT)
        scope.versions.add(VERSION)


def said(text: str) -> Part:
    """Return what a member says."""
    return Part(role=Role.USER, content={"text": text}, label=Label(origins=frozenset({Origin.MEMBER})))


@dataclass
class Stage:
    """Where runs are played."""

    store: Store
    engine: MemoryEngine
    clock: FakeClock
    segments: Segments
    closing: Closing
    script: Script = echo
    began: list[str] = field(default_factory=list)
    """Run ids in the order their segments began."""

    async def play(self, segment: Segment) -> Ending:
        """Carry a segment out by the script of the moment."""
        self.began.append(segment.run.id)
        return await self.script(segment)

    def start(self, text: str = "hello", **options: Any) -> Run:
        """Start a run."""
        stated: dict[str, Any] = {"trigger": Trigger.API, "attended": False, "slots": SLOTS, "run_hours": 24.0}
        with self.store.tenant(ACME.id).write() as scope:
            return start(
                scope,
                self.engine,
                ids=self.closing.ids,
                clock=self.clock,
                agent=AGENT,
                input=said(text),
                **stated | options,
            )

    def say(self, text: str, conversation: str, channel: str | None = None) -> Run:
        """Start a run that answers a message."""
        message = self.closing.ids("msg")
        run = self.start(text, conversation=conversation, message=message, trigger=Trigger.MESSAGE)
        with self.store.tenant(ACME.id).write() as scope:
            scope.talk.say(
                Message(
                    id=message,
                    conversation=conversation,
                    agent=AGENT.id,
                    run=run.id,
                    text=text,
                    created_at=START,
                    channel=channel,
                )
            )
        return run

    def converse(self) -> str:
        """Open a conversation and return its id."""
        conversation = self.closing.ids("cnv")
        with self.store.tenant(ACME.id).write() as scope:
            scope.talk.open(Conversation(id=conversation, agent=AGENT.id, created_at=START))
        return conversation

    def be(self, state: TenantState) -> None:
        """Let the tenant stand so."""
        with self.store.write() as platform:
            platform.tenants.save(replace(platform.tenants.find(ACME.id), state=state))

    def active(self) -> bool:
        """Return whether the tenant is active."""
        with self.store.read() as platform:
            return platform.tenants.state(ACME.id) is TenantState.ACTIVE

    def pause(self, each: Callable[[str], None] = lambda _run: None) -> int:
        """Pause what goes on in the tenant."""
        return pause_all(self.store.tenant(ACME.id), self.engine, clock=self.clock, each=each)

    def unpause(self) -> int:
        """Let go on what was paused with the tenant."""
        return unpause_all(self.store.tenant(ACME.id), self.engine, clock=self.clock)

    def put_in_place(self) -> int:
        """Mend what a process left half done."""
        return put_in_place(self.store, self.engine, clock=self.clock)

    def run(self, run: str) -> Run:
        """Return the run as it stands."""
        with self.store.tenant(ACME.id).read() as scope:
            return scope.runs.get(run)

    def runs(self) -> list[Run]:
        """Return all runs, oldest first."""
        with self.store.tenant(ACME.id).read() as scope:
            return scope.runs.page()[::-1]

    def events(self, run: str) -> list[str]:
        """Return what happened to the run, by type."""
        with self.store.tenant(ACME.id).read() as scope:
            return [event["type"] for event in scope.events.of(run)]

    def do(self, act: Callable[..., Any], **options: Any) -> Any:
        """Do something to a run in a transaction of its own."""
        with self.store.tenant(ACME.id).write() as scope:
            return act(scope, self.engine, clock=self.clock, **options)

    async def settle(self) -> None:
        """Let everything happen that can happen by now."""
        await self.engine.settle()

    @property
    def now(self) -> datetime:
        """The time on stage."""
        return self.clock.now()


def set_up(folder: Path) -> Stage:
    """Return a stage over a fresh database in `folder`; begin it with `await stage.engine.start(…)`."""
    shelve(folder)
    database = Database(sqlite_address(folder / "freehold.db"))
    furnish(Store(database))
    return set_over(database, folder)


def set_over(database: Database, folder: Path) -> Stage:
    """Return a stage over a database that is furnished already."""
    store, engine, clock = Store(database), MemoryEngine(slots=SLOTS), FakeClock()
    closing = Closing(engine=engine, ids=Ids(clock.now), clock=clock, approval_hours=1.0)

    async def play(segment: Segment) -> Ending:
        return await stage.play(segment)

    segments = Segments(store, play, closing, web=Nudge(folder / "web.sock"))
    stage = Stage(store, engine, clock, segments, closing)
    return stage
