"""Whatever happens to runs and their workers in whatever order: each accepted run ends, once, and is answered once."""

import asyncio
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from typing_extensions import override

from freehold.core.approvals import ApprovalState
from freehold.core.errors import BadTransition, Conflict
from freehold.core.parts import Origin
from freehold.core.runs import FINAL, Run, RunState
from freehold.core.tenants import TenantState
from freehold.ingress.accepting import Arrival, Limits, accept
from freehold.runs.cancelling import cancel
from freehold.runs.clockwork import ring
from freehold.runs.deciding import decide
from freehold.runs.engine import Ticket
from freehold.runs.signalling import signal
from freehold.store.scope import Scope
from tests.stages import ACME, AGENT, SLOTS
from tests.theatre import ACTS, Theatre

LIMITS = Limits(message_bytes=10_000, slots=SLOTS, run_hours=24)
ROUNDS = 60
ENDED = {"run.done", "run.failed", "run.cancelled"}
AFTER_THE_END = {"approval.expired", "child.ended", "signal.received"}

plans = st.lists(st.sampled_from(ACTS), max_size=3)


class Stories(RuleBasedStateMachine):
    """Accepting, crashing, freezing, losing, deciding, signalling, cancelling and the passing of time."""

    runs = Bundle("runs")
    messages = Bundle("messages")

    @initialize()
    def open(self) -> None:
        self.theatre = Theatre(Path(tempfile.mkdtemp(prefix="story-")))
        self.stage = self.theatre.stage
        self.accepted: dict[str, str] = {}

    @rule(target=runs, plan=plans)
    def start(self, plan: list[str]) -> Any:
        try:
            return self.stage.start(json.dumps(plan)).id
        except Conflict:
            assert not self.stage.active()
            return multiple()

    @rule(target=messages, plan=plans, thread=st.integers(1, 2), key=st.integers(1, 4))
    def say(self, plan: list[str], thread: int, key: int) -> Any:
        """Deliver a message; under a key that was used it is either the same message or refused."""
        arrival = Arrival(
            agent=AGENT.name,
            text=json.dumps(plan),
            by="hook",
            origin=Origin.CHANNEL,
            channel="chn_1",
            thread=str(thread),
            place="hook",
            key=str(key),
        )
        try:
            with self.stage.store.tenant(ACME.id).write() as scope:
                told = accept(
                    scope,
                    self.stage.engine,
                    arrival,
                    limits=LIMITS,
                    ids=self.stage.closing.ids,
                    clock=self.stage.clock,
                )
        except Conflict:
            return multiple()  # another request under this key, or a tenant that stands still
        assert self.accepted.setdefault(str(key), told.run.id) == told.run.id
        return told.run.id

    @rule(n=st.integers(0, 3))
    def let_go_on(self, n: int) -> None:
        gates = [gate for gate in self.theatre.gates if not gate.is_set()]
        if gates:
            gates[n % len(gates)].set()
        self.theatre.do(self.theatre.calm())

    @rule()
    def crash(self) -> None:
        """Let the worker die, and its successor find what it left."""
        self.theatre.do(self.theatre.worker.engine.drain(0))
        self.theatre.worker = self.theatre.begin()
        self.theatre.worker.mend()

    @rule()
    def freeze(self) -> None:
        """Let a second worker take all over from one that is frozen and goes on later."""
        self.theatre.frozen.append(self.theatre.worker)
        self.theatre.worker = self.theatre.begin()
        self.theatre.worker.mend()

    @rule()
    def lose_the_queue(self) -> None:
        self.stage.engine.lose()

    @rule()
    def mend(self) -> None:
        self.theatre.worker.mend()

    @rule(run=st.one_of(runs, messages))
    def bring_again(self, run: str) -> None:
        """Bring a segment outside of the queue, as a second delivery of it would."""
        found = self.stage.run(run)

        async def bring() -> None:
            ticket = Ticket(tenant=ACME.id, run=run, segment=found.segment, slot=max(found.slot, 0))
            if found.slot >= 0:
                task = asyncio.ensure_future(self.theatre.worker.carry(ticket))
                self.theatre.extra.add(task)
                task.add_done_callback(self.theatre.extra.discard)
            await self.theatre.calm()

        self.theatre.do(bring())

    @rule(run=st.one_of(runs, messages), ident=st.sampled_from("ab"))
    def send(self, run: str, ident: str) -> None:
        with suppress(BadTransition):
            self.stage.do(signal, run=run, signal=ident, name="go", payload={}, by="key:1")

    @rule(run=st.one_of(runs, messages))
    def cancel(self, run: str) -> None:
        assert self.stage.do(cancel, run=run, by="key:1").state in FINAL
        self.theatre.worker.segments.stop(run)

    @rule()
    def suspend(self) -> None:
        """Let the tenant stand still; the worker hears of it, or finds out."""
        self.stage.be(TenantState.SUSPENDED)
        self.stage.pause(self.theatre.worker.segments.stop)

    @rule()
    def suspend_half(self) -> None:
        """Let whoever suspends the tenant die before a run was paused."""
        self.stage.be(TenantState.SUSPENDED)

    @rule()
    def go_on(self) -> None:
        self.stage.be(TenantState.ACTIVE)
        self.stage.unpause()

    @rule()
    def put_in_place(self) -> None:
        self.stage.put_in_place()

    @rule(n=st.integers(0, 3), approve=st.booleans())
    def decide(self, n: int, approve: bool) -> None:  # noqa: FBT001 - drawn
        asked = self.theatre.asked()
        if asked:
            words = {"approval": asked[n % len(asked)].id, "hash": "h", "by": "key:1"}
            self.stage.do(decide, approve=approve, **words)
            with suppress(BadTransition):
                self.stage.do(decide, approve=not approve, **words)
                raise AssertionError("a question was decided twice")

    @rule(seconds=st.sampled_from([1, 30, 60, 3600, 86_400]))
    def wait(self, seconds: int) -> None:
        self.stage.clock.wind(seconds)
        ring(self.stage.store, self.stage.engine, clock=self.stage.clock)

    @invariant()
    def nothing_wrong_was_seen(self) -> None:
        if hasattr(self, "theatre"):
            self.theatre.do(self.theatre.calm())
            assert self.theatre.wrong == []

    @override
    def teardown(self) -> None:
        if hasattr(self, "theatre"):
            try:
                self.come_to_the_end()
                self.look_back()
            finally:
                self.theatre.close()

    def come_to_the_end(self) -> None:
        """Do what people, timers and a worker that lives do sooner or later, until every run is over."""
        self.stage.be(TenantState.ACTIVE)
        self.theatre.open = True
        left: list[Run] = []
        for n in range(ROUNDS):
            for gate in self.theatre.gates:
                gate.set()
            self.theatre.do(self.theatre.calm())
            left = [run for run in self.stage.runs() if run.state not in FINAL]
            if not left:
                return
            self.help_on(left, f"last {n}")
        raise AssertionError(f"these never end: {left}")

    def help_on(self, left: list[Run], ident: str) -> None:
        for approval in self.theatre.asked():
            self.stage.do(decide, approval=approval.id, approve=True, hash="h", by="key:1")
        for run in left:
            if run.state is RunState.WAITING:
                self.send(run.id, ident)
        self.stage.clock.wind(60)
        ring(self.stage.store, self.stage.engine, clock=self.stage.clock)
        self.theatre.worker.mend()
        self.stage.put_in_place()

    def look_back(self) -> None:
        assert self.theatre.wrong == []
        runs = self.stage.runs()
        with self.stage.store.tenant(ACME.id).read() as scope:
            replied = {run.id for run in runs if scope.outbox.get("out_" + run.id.removeprefix("run_")) is not None}
            assert replied == set(self.accepted.values())
            for run in runs:
                look_back_at(scope, run)


def look_back_at(scope: Scope, run: Run) -> None:
    kinds = [event["type"] for event in scope.events.of(run.id)]
    over = [n for n, kind in enumerate(kinds) if kind in ENDED]
    assert len(over) == 1, kinds
    assert set(kinds[over[0] + 1 :]) <= AFTER_THE_END, kinds
    assert run.epoch == kinds.count("run.started") + kinds.count("run.restarted")
    assert run.segment == 1 + kinds.count("run.resumed")
    if run.state is RunState.DONE:
        assert run.output == f"by owner {run.epoch}", "who was taken over ended it"
    assert (run.error or {}).get("code") in {None, "no", "stuck", "deadline_passed"}
    assert all(approval.state is not ApprovalState.ASKED for approval in scope.approvals.of_run(run.id))
    if run.parent is not None:
        assert [told["id"] for told in scope.signals.of(run.parent)].count(run.id) == 1


Stories.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestStories = Stories.TestCase
