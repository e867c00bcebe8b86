"""One stretch of one run, as its body sees it: what came before, and the only way to do something durably."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol

from freehold import failpoints
from freehold.core.agents import Version
from freehold.core.approvals import Approval
from freehold.core.clock import Clock
from freehold.core.parts import Part
from freehold.core.runs import Run
from freehold.core.tenants import Tenant
from freehold.gateway.client import Work
from freehold.runs.endings import Ending

StepKind = Literal["model", "tool"]
LiveKind = Literal["delta", "reset"]
Result = dict[str, Any]


def no_parts(result: Result) -> Sequence[Part]:
    """Return no parts: the step adds nothing to the context."""
    return ()


class Journal(Protocol):
    """Where a segment's steps are kept; every method is one transaction."""

    def recorded(self, key: str) -> Result | None:
        """Return the result of the step `key` if an earlier attempt recorded it."""
        ...

    async def begin(self, *, key: str, kind: StepKind, name: str, about: Mapping[str, Any]) -> None:
        """Write down that the step begins; raise `asyncio.CancelledError` where the run is no longer ours."""
        ...

    async def record(
        self, *, key: str, kind: StepKind, name: str, result: Result, parts: Sequence[Part], about: Mapping[str, Any]
    ) -> None:
        """Write down the step with its parts and its event, all or nothing."""
        ...

    def live(self, kind: LiveKind, data: dict[str, Any]) -> None:
        """Tell whoever watches the run; never fails and never waits."""
        ...


@dataclass(slots=True, kw_only=True)
class Segment:
    """What a body is given: a stretch of a run between two waits."""

    tenant: Tenant
    run: Run
    version: Version
    clock: Clock
    repeated: bool
    """Whether an earlier attempt at this segment died; its recorded steps come back as they were."""
    earlier: list[Part]
    """What was said before: the conversation's earlier turns, then this run's parts of earlier segments."""
    signals: list[dict[str, Any]] = field(default_factory=list)
    """What was sent to the run, `{id, name, payload, created_at}` each, oldest first."""
    approvals: list[Approval] = field(default_factory=list)
    """The run's questions, decided and open."""
    journal: Journal

    def work(self) -> Work:
        """Return on whose behalf this segment asks the gateway."""
        return Work(
            tenant=self.tenant.id,
            agent=self.run.agent,
            version=self.run.version,
            run=self.run.id,
            epoch=self.run.epoch,
            trace=self.run.trace,
            attended=self.run.attended,
        )

    async def step(
        self,
        *,
        key: str,
        kind: StepKind,
        name: str,
        do: Callable[[], Awaitable[Result]],
        parts: Callable[[Result], Sequence[Part]] = no_parts,
        about: Mapping[str, Any] = MappingProxyType({}),
    ) -> Result:
        """
        Return the result of the step `key`: the recorded one, or that of `do`, recorded.

        `do` returns expected failures as tagged results; what it raises is a bug. It may run again after a
        crash, so whatever it does to the world goes by `key`. The step, `parts` of its result and its event
        are written in one transaction; `about` is what the event shows of it besides. Raises `asyncio.CancelledError` once the run is over or another's.
        """
        found = self.journal.recorded(key)
        if found is not None:
            return found
        await self.journal.begin(key=key, kind=kind, name=name, about=about)
        failpoints.reach("worker", "intent")
        result = await _sent(do())
        failpoints.reach("worker", "answered")
        added = parts(result)
        await self.journal.record(key=key, kind=kind, name=name, result=result, parts=added, about=about)
        failpoints.reach("worker", "stored")
        return result

    def live(self, kind: LiveKind, **data: Any) -> None:
        """Show something to whoever watches the run just now: `delta` with `key` and `text`, `reset` with `key`."""
        self.journal.live(kind, data)


Body = Callable[[Segment], Awaitable[Ending]]
"""Carries out a segment; its exceptions are bugs, except `asyncio.CancelledError`."""


async def _sent(doing: Awaitable[Result]) -> Result:
    """Return what `doing` returns, and pass the point at which it is under way."""
    if not failpoints.armed("worker", "sent"):
        return await doing
    task = asyncio.ensure_future(doing)
    await asyncio.wait({task}, timeout=0.05)  # the request is to be on its way when the worker dies
    failpoints.reach("worker", "sent")
    return await task
