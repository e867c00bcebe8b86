"""Bodies of runs, as tests write them, and what tests do to runs."""

from dataclasses import replace
from typing import Any

from freehold.core.approvals import Approval
from freehold.core.errors import Unavailable
from freehold.core.parts import Label, Origin, Part, Role
from freehold.core.runs import WaitsFor
from freehold.runs.endings import Child, Done, Ending, Park, Question
from freehold.runs.segment import Result, Segment
from freehold.runs.signalling import signal
from tests.stages import ACME, Stage

QUESTION = Question(
    key="k/1", call="c1", connection="sandbox", operation="delete_file", arguments={"path": "x"}, hash="h1"
)


def always(ending: Ending) -> Any:
    async def script(segment: Segment) -> Ending:
        return ending

    return script


def once(first: Ending, then: Ending) -> Any:
    async def script(segment: Segment) -> Ending:
        return first if segment.run.segment == 1 else then

    return script


async def asks_once(segment: Segment) -> Ending:
    if segment.approvals:
        return Done(segment.approvals[0].state)
    return Park(waits_for=WaitsFor.PERSON, questions=(QUESTION,))


async def away(segment: Segment) -> Ending:
    raise Unavailable("The gateway is away.", after=0.1)


async def two_steps(segment: Segment) -> Ending:
    async def do() -> Result:
        return {"text": "yes", "value": 1}

    def parts(role: Role, content: dict[str, Any]) -> Any:
        return lambda _result: [Part(role=role, content=content, label=Label(origins=frozenset({Origin.MODEL})))]

    key = f"{segment.run.id}/1/1"
    await segment.step(key=f"{key}/0", kind="model", name="m", do=do, parts=parts(Role.ASSISTANT, {"text": "yes"}))
    await segment.step(key=f"{key}/1", kind="tool", name="t", do=do, parts=parts(Role.RESULT, {"value": 1}))
    return Done("yes")


def delegates(*tasks: str) -> Any:
    async def script(segment: Segment) -> Ending:
        if segment.run.parent is not None:
            return Done(segment.run.input)
        if not segment.signals:
            children = tuple(Child(call=f"c{n}", text=task) for n, task in enumerate(tasks))
            return Park(waits_for=WaitsFor.CHILD, children=children)
        ended = sorted((signal["payload"] for signal in segment.signals), key=lambda payload: str(payload["call"]))
        return Done(", ".join(f"{payload['call']}: {payload['output']}" for payload in ended))

    return script


def counts_and_dies(done: list[str]) -> Any:
    async def script(segment: Segment) -> Ending:
        async def do(name: str) -> Result:
            done.append(name)
            return {"value": name}

        await segment.step(key="a", kind="tool", name="a", do=lambda: do("a"))
        if not segment.repeated:
            raise Unavailable("The sandbox is away.", after=0.1)
        await segment.step(key="b", kind="tool", name="b", do=lambda: do("b"))
        return Done("repeated")

    return script


def send(stage: Stage, run: str, ident: str) -> None:
    stage.do(signal, run=run, signal=ident, name="go", payload={}, by="key:1")


def take_over(stage: Stage, run: str) -> None:
    """Do what a second worker does when it believes the first one dead."""
    with stage.store.tenant(ACME.id).write() as scope:
        found = scope.runs.get(run)
        scope.runs.move(replace(found, revision=found.revision + 1, epoch=found.epoch + 1))


def approvals(stage: Stage, run: str) -> list[Approval]:
    with stage.store.tenant(ACME.id).read() as scope:
        return scope.approvals.of_run(run)
