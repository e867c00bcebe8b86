"""Segments without a database: a journal in memory, and a stage that takes one run from segment to segment."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, final

from typing_extensions import override

from freehold.audit.canonical import canonical
from freehold.core.agents import Spec, Version
from freehold.core.approvals import Approval, ApprovalState
from freehold.core.parts import Label, Origin, Part, Role
from freehold.core.runs import Run, RunEvent, Trigger
from freehold.core.tenants import Tenant
from freehold.runs.endings import Ending, Park, Question
from freehold.runs.segment import Body, Journal, LiveKind, Result, Segment, StepKind
from freehold.testing.clock import START, FakeClock


@final
class MemoryJournal(Journal):
    """Keeps the steps of one run, as long as it lives."""

    def __init__(self) -> None:
        """Begin empty."""
        self.steps: dict[str, Result] = {}
        self.begun: list[str] = []
        """Keys of steps that were really taken, in order; a step that is read back is not among them."""
        self.parts: list[tuple[int, Part]] = []
        """Each part with its segment; what was said is segment 0."""
        self.shown: list[tuple[str, dict[str, Any]]] = []
        """What was shown live."""
        self.segment = 1
        self.dies_at = ""
        """The key of the step at which the worker dies: after it was done, before it is recorded."""
        self.over = False
        self.repeated = False

    @override
    def recorded(self, key: str) -> Result | None:
        return self.steps.get(key) if self.repeated else None

    @override
    async def begin(self, *, key: str, kind: StepKind, name: str, about: Mapping[str, Any]) -> None:
        if self.over:
            raise asyncio.CancelledError
        self.begun.append(key)

    @override
    async def record(
        self, *, key: str, kind: StepKind, name: str, result: Result, parts: Sequence[Part], about: Mapping[str, Any]
    ) -> None:
        if key == self.dies_at:
            self.dies_at = ""
            raise Died
        assert key not in self.steps, f"step {key} is written twice"
        for part in parts:
            canonical(part.content)
        self.steps[key] = result
        self.parts += [(self.segment, part) for part in parts]

    @override
    def live(self, kind: LiveKind, data: dict[str, Any]) -> None:
        self.shown.append((kind, data))


class Died(BaseException):
    """The worker died here; nothing after this happened."""


@final
class Stage:
    """One run and its journal; every act is a segment."""

    def __init__(self, body: Body, spec: Spec, *, clock: FakeClock | None = None) -> None:
        """Play `body` for a version with `spec`."""
        self.body, self.clock = body, clock or FakeClock()
        self.journal = MemoryJournal()
        self.tenant = Tenant(id="ten_1", slug="acme", name="Acme", uid=1, created_at=START)
        self.version = Version(id="ver_1", agent="agt_1", number=1, spec=spec, created_at=START)
        self.run = Run(
            id="run_1", agent="agt_1", version="ver_1", trigger=Trigger.MESSAGE, created_at=START, attended=True
        )
        self.signals: list[dict[str, Any]] = []
        self.approvals: list[Approval] = []
        self.before: list[Part] = []
        """Parts of the conversation's earlier turns."""

    async def say(self, text: str, *, origin: Origin = Origin.MEMBER) -> Ending:
        """Start the run with something said and return how its first segment ends."""
        label = Label(origins=frozenset({origin}))
        self.journal.parts.append((0, Part(role=Role.USER, content={"text": text}, label=label)))
        return await self._act(RunEvent.START, repeated=False)

    async def again(self) -> Ending:
        """Repeat the segment, as after the death of a worker, and return how it ends."""
        return await self._act(RunEvent.RESTART, repeated=True)

    async def resume(self, ending: Ending, *, approve: bool | None = None, expire: bool = False) -> Ending:
        """Begin the next segment: every question of `ending` decided alike."""
        if isinstance(ending, Park):
            state = ApprovalState.EXPIRED if expire else ApprovalState.APPROVED if approve else ApprovalState.DENIED
            self.approvals += [self.decided(n, question, state) for n, question in enumerate(ending.questions)]
            self.run = self.run.after(RunEvent.PARK, at=self.clock.now(), waits_for=ending.waits_for)
        self.run = self.run.after(RunEvent.RESUME, at=self.clock.now())
        return await self.go_on()

    def child_ended(self, call: str, *, output: str | None = None, error: dict[str, str] | None = None) -> None:
        """Let the child that answers `call` end."""
        state = "failed" if error else "done"
        payload = {"call": call, "state": state, "output": output, "error": error}
        self.signals.append({"id": f"run_of_{call}", "name": "child.ended", "payload": payload})

    def said(self) -> list[tuple[str, Any]]:
        """Return role and content of everything this run wrote down, input first."""
        return [(str(part.role), part.content) for _segment, part in self.journal.parts]

    async def go_on(self) -> Ending:
        """Begin the segment the run is queued for, and return how it ends."""
        return await self._act(RunEvent.START, repeated=False)

    def decided(self, n: int, question: Question, state: ApprovalState) -> Approval:
        """Return the approval that `question` became, decided."""
        return Approval(
            id=f"apr_{self.run.segment}_{n}",
            run=self.run.id,
            agent=self.run.agent,
            key=question.key,
            call=question.call,
            connection=question.connection,
            operation=question.operation,
            arguments=question.arguments,
            hash=question.hash,
            reason=question.reason,
            kind=question.kind,
            attempts=question.attempts,
            created_at=START,
            expires_at=START,
            state=state,
        )

    async def _act(self, event: RunEvent, *, repeated: bool) -> Ending:
        self.run = self.run.after(event, at=self.clock.now())
        self.journal.segment, self.journal.repeated = self.run.segment, repeated
        segment = Segment(
            tenant=self.tenant,
            run=self.run,
            version=self.version,
            clock=self.clock,
            repeated=repeated,
            earlier=[*self.before, *(part for number, part in self.journal.parts if number < self.run.segment)],
            signals=list(self.signals),
            approvals=list(self.approvals),
            journal=self.journal,
        )
        return await self.body(segment)
