"""A segment's journal in the database: a step that was recorded is read back, a new one is written whole."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, final

from typing_extensions import override

from freehold.audit.canonical import digest
from freehold.core.clock import Clock
from freehold.core.metrics import Metrics
from freehold.core.parts import Part
from freehold.core.runs import Run
from freehold.runs.nudging import Nudge
from freehold.runs.segment import Journal, LiveKind, Result, StepKind
from freehold.store.journal import Step
from freehold.store.scope import Scope, Tenancy
from freehold.store.threads import in_thread

PIECE: Final = 8_000
"""Characters of live text in one datagram."""
SHOWN: Final = 500
"""Characters of arguments and results that events show."""


@final
class RunJournal(Journal):
    """The journal of one attempt at a segment; once the run is another's it takes nothing more."""

    def __init__(
        self,
        tenancy: Tenancy,
        run: Run,
        recorded: Mapping[str, Result],
        *,
        clock: Clock,
        web: Nudge,
        metrics: Metrics,
    ) -> None:
        """Write for `run` as its owner has it; `recorded` is what an earlier attempt left."""
        self._tenancy, self._run, self._clock, self._web, self._metrics = tenancy, run, clock, web, metrics
        self._recorded = dict(recorded)
        self._begun: dict[str, datetime] = {}

    @override
    def recorded(self, key: str) -> Result | None:
        return self._recorded.get(key)

    @override
    async def begin(self, *, key: str, kind: StepKind, name: str, about: Mapping[str, Any]) -> None:
        self._begun[key] = self._clock.now()
        _refuse_unless(await in_thread(self._begin, {"key": key, "kind": kind, "name": name} | _shown(about)))
        self._web.send({"events": True})

    @override
    async def record(
        self, *, key: str, kind: StepKind, name: str, result: Result, parts: Sequence[Part], about: Mapping[str, Any]
    ) -> None:
        now = self._clock.now()
        step = Step(
            key=key,
            segment=self._run.segment,
            kind=kind,
            name=name,
            result=result,
            started_at=self._begun.pop(key, now),
            ended_at=now,
        )
        _refuse_unless(await in_thread(self._record, step, parts, _shown(about)))
        self._recorded[key] = result
        self._metrics.observe("freehold_step_seconds", (now - step.started_at).total_seconds(), kind=kind)
        self._web.send({"events": True})

    @override
    def live(self, kind: LiveKind, data: dict[str, Any]) -> None:
        told = {"live": kind, "tenant": self._tenancy.tenant, "run": self._run.id} | data
        text = str(data.get("text", ""))
        for start in range(0, max(len(text), 1), PIECE):
            self._web.send(told | {"text": text[start : start + PIECE]})

    def _begin(self, told: dict[str, Any]) -> bool:
        with self._tenancy.write() as scope:
            ours = self._ours(scope)
            if ours:
                scope.events.append(self._run.id, "step.started", told, at=self._clock.now())
            return ours

    def _record(self, step: Step, parts: Sequence[Part], about: dict[str, Any]) -> bool:
        with self._tenancy.write() as scope:
            if not self._ours(scope):
                return False
            run = self._run
            scope.steps.add(run.id, step)
            for part in parts:
                scope.parts.append(
                    run.id,
                    part,
                    segment=run.segment,
                    conversation=run.conversation,
                    digest=digest(part.content),
                )
            told = {"key": step.key, "kind": step.kind, "name": step.name} | about | _outcome(step.result)
            scope.events.append(run.id, "step.finished", told, at=step.ended_at)
            return True

    def _ours(self, scope: Scope) -> bool:
        return scope.runs.owned(self._run.id, self._run.epoch)


def _refuse_unless(ours: bool) -> None:  # noqa: FBT001 - its only meaning
    if not ours:
        raise asyncio.CancelledError("the run is over or has another owner")


def _outcome(result: Result) -> dict[str, Any]:
    """Return what an event says of a tagged result: whether it went well, and what went wrong."""
    wrong = result.get("error") or result.get("refused")
    if isinstance(wrong, dict):
        return {"ok": False, "code": wrong.get("code", ""), "message": _short(wrong.get("message", ""))}
    return {"ok": not result.get("interrupted", False)}


def _shown(about: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _short(value) if isinstance(value, str) else value for name, value in about.items()}


def _short(text: object) -> str:
    text = str(text)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
