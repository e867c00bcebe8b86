"""
The loop: one segment of a run, from what was said before to an answer or a wait.

Pydantic AI decides what happens next: which calls run, in which order, and which of them end the segment because
they wait for a person or a child. It never sees a word of the conversation: our model shows the context's parts
and our tools carry recorded calls out, so nothing of its own form is ever stored.

This is the only module that knows Pydantic AI.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, final

from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, ToolDenied
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import RunContext, ToolDefinition
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.toolsets.abstract import ToolsetTool
from pydantic_ai.usage import UsageLimits
from pydantic_core import SchemaValidator, core_schema
from typing_extensions import override

from freehold.agents.asking import Asking
from freehold.agents.calling import Calling
from freehold.agents.context import Context
from freehold.agents.patience import LONGEST_PAUSE, OURS
from freehold.agents.ports import Gateway, Hands
from freehold.agents.sources import Call, ContextSource, ToolSource
from freehold.agents.spending import go_on
from freehold.agents.stopping import Stop
from freehold.core.approvals import ApprovalState
from freehold.core.errors import FreeholdError, Unavailable
from freehold.core.parts import Part
from freehold.core.runs import WaitsFor
from freehold.runs.endings import Child, Done, Ending, Park, Question
from freehold.runs.segment import Body, Segment

REST_SECONDS: Final = 2.0
"""How long the end of a segment waits for its sandbox to be asleep."""

log = logging.getLogger(__name__)

_ANYTHING: Final = SchemaValidator(core_schema.any_schema())
_UNKNOWN: Final = "unknown"
"""Stands for every tool that does not exist, so that calling one is a recorded step like any other."""
_NO_LIMITS: Final = UsageLimits(request_limit=None)
_GO_ON: Final = ModelRequest(parts=[UserPromptPart("go on")])
_AGENT: Final[Agent[object, str | DeferredToolRequests]] = Agent(output_type=[str, DeferredToolRequests])
"""Whoever runs it brings model and tools along; putting one together costs as much as a step."""


def body_of(
    *,
    gateway: Gateway,
    sandboxes: Hands,
    tools: Sequence[ToolSource],
    contexts: Sequence[ContextSource],
    model_attempts: int,
) -> Body:
    """Return what carries a segment of an agent's run out, with these tools and contexts at hand."""
    resting: set[asyncio.Task[None]] = set()

    async def body(segment: Segment) -> Ending:
        try:
            return await _turn(segment, gateway, tools, contexts, model_attempts)
        except Stop as stop:
            return stop.ending
        except Unavailable as error:
            if error.code not in OURS:
                raise
            wake_at = segment.clock.now() + timedelta(seconds=max(LONGEST_PAUSE, error.after))
            return Park(waits_for=WaitsFor.OUTAGE, wake_at=wake_at, reason=error.message)
        finally:
            rest = asyncio.ensure_future(_rest(sandboxes, segment.run.id))
            resting.add(rest)
            rest.add_done_callback(resting.discard)
            # Neither a cancellation nor a runtime that hangs may keep the run from its end.
            await asyncio.wait({rest}, timeout=REST_SECONDS)

    return body


async def _rest(sandboxes: Hands, run: str) -> None:
    """Put the sandbox to sleep; a failure must not take the place of how the segment ended."""
    try:
        await sandboxes.rest(run)
    except FreeholdError as error:
        log.warning("The sandbox of run %s does not rest and is left to the next sweep: %s", run, error.message)


async def _turn(
    segment: Segment,
    gateway: Gateway,
    sources: Sequence[ToolSource],
    contexts: Sequence[ContextSource],
    attempts: int,
) -> Ending:
    frame = [part for source in contexts for part in await source.parts(segment)]
    context = Context(frame, segment.earlier)
    await go_on(gateway, segment)
    calling = Calling(sources, segment, context)
    asking = Asking(gateway, segment, context, tools=calling.offered, attempts=attempts)
    batch = _Batch(calling)
    calls = context.calls(segment.run.id)
    if any(result is None for _call, result in calls):
        history, answers = await _resumed(segment, calls, batch)
    else:
        text, proposed = await asking.ask()
        if not proposed:
            return Done(text)  # nothing to decide: most turns are over before Pydantic AI is asked anything
        history, answers = [_GO_ON, batch.reply(text, proposed)], None
    result = await _AGENT.run(
        None,
        model=_Model(asking, batch, segment.version.spec.model),
        toolsets=[_Tools(batch)],
        message_history=history,
        deferred_tool_results=answers,
        usage_limits=_NO_LIMITS,
        infer_name=False,
    )
    if isinstance(result.output, str):
        return Done(result.output)
    return batch.parked()


class _Batch:
    """The calls of the newest reply, and those of them that wait."""

    def __init__(self, calling: Calling) -> None:
        self.calling = calling
        self._calls: dict[str, Call] = {}
        self._questions: dict[str, Question] = {}
        self._children: dict[str, Child] = {}

    def take(self, calls: Sequence[Call]) -> list[ToolCallPart]:
        """Make these the calls of the newest reply; Pydantic AI sees their ids and nothing they say."""
        self._calls = {call.id: call for call in calls}
        return [ToolCallPart(tool_name=self._name(call), args={}, tool_call_id=call.id) for call in calls]

    def reply(self, text: str, calls: Sequence[Call]) -> ModelResponse:
        """Return the newest reply as Pydantic AI sees it."""
        said: list[ModelResponsePart] = [TextPart(text)] if text else []
        return ModelResponse(parts=[*said, *self.take(calls)])

    def returned(self, call: Call) -> ToolReturnPart:
        """Return the mark of a call that has its result."""
        return ToolReturnPart(tool_name=self._name(call), content="done", tool_call_id=call.id)

    async def call(self, call_id: str) -> Any:
        """Carry a call out; raise what makes Pydantic AI put it aside where it has to wait."""
        call = self._calls[call_id]
        result = await self.calling.call(call)
        if "asked" in result:
            self._questions[call_id] = Question(key=call.key, call=call_id, **result["asked"])
            raise ApprovalRequired
        if "child" in result:
            self._children[call_id] = Child(call=call_id, text=result["child"]["text"])
            raise CallDeferred
        return "done"

    def parked(self) -> Park:
        """Return the wait for everything that was put aside."""
        order = list(self._calls)
        return Park(
            waits_for=WaitsFor.PERSON if self._questions else WaitsFor.CHILD,
            questions=tuple(self._questions[call] for call in order if call in self._questions),
            children=tuple(self._children[call] for call in order if call in self._children),
        )

    def _name(self, call: Call) -> str:
        return call.name if self.calling.knows(call.name) else _UNKNOWN


async def _resumed(
    segment: Segment, calls: Sequence[tuple[Call, Part | None]], batch: _Batch
) -> tuple[list[ModelMessage], DeferredToolResults]:
    """
    Return where Pydantic AI goes on, and what became of those of the `calls` that the run waited for.

    A call that nobody was asked about and that no child answers was cut off by an outage: it is made again.
    """
    open_calls = [call for call, result in calls if result is None]
    # About one key there is a question for each attempt that broke off: the newest counts, whatever the clock says.
    approvals = {approval.key: approval for approval in sorted(segment.approvals, key=lambda one: one.attempts)}
    ended = {
        signal["payload"]["call"]: signal["payload"] for signal in segment.signals if signal["name"] == "child.ended"
    }
    parts = batch.take([call for call, _result in calls])
    answers = DeferredToolResults()
    for call in open_calls:
        approval = approvals.get(call.key)
        if call.id in ended:
            await batch.calling.delegated(call, ended[call.id])
            answers.calls[call.id] = "done"
        elif approval is None or approval.state is ApprovalState.APPROVED:
            answers.approvals[call.id] = True
        elif approval.state is ApprovalState.ASKED:
            raise Stop(Park(waits_for=WaitsFor.PERSON))
        else:
            await batch.calling.decided(call, approval)
            answers.approvals[call.id] = ToolDenied()
    returned = [batch.returned(call) for call, result in calls if result is not None]
    history: list[ModelMessage] = [_GO_ON, ModelResponse(parts=parts)]
    return [*history, *([ModelRequest(parts=returned)] if returned else [])], answers


@final
class _Model(Model):
    """Asks by our own steps; what Pydantic AI would say to a model is not looked at."""

    def __init__(self, asking: Asking, batch: _Batch, name: str) -> None:
        super().__init__()
        self._asking, self._batch, self._name = asking, batch, name

    @property
    @override
    def model_name(self) -> str:
        return self._name

    @property
    @override
    def system(self) -> str:
        return "freehold"

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        text, calls = await self._asking.ask()
        if not text and not calls:
            raise Stop(Done(""))  # silence is an answer; Pydantic AI would ask again
        return self._batch.reply(text, calls)


@final
@dataclass
class _Tools(AbstractToolset[object]):
    """Carries out by our own steps."""

    batch: _Batch

    @property
    @override
    def id(self) -> str:
        return "freehold"

    @override
    async def get_tools(self, ctx: RunContext[object]) -> dict[str, ToolsetTool[object]]:
        alone = {spec.name: spec.alone for spec in self.batch.calling.specs} | {_UNKNOWN: False}
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=ToolDefinition(name=name, sequential=sequential),
                max_retries=0,
                args_validator=_ANYTHING,
            )
            for name, sequential in alone.items()
        }

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[object], tool: ToolsetTool[object]
    ) -> Any:
        return await self.batch.call(ctx.tool_call_id or "")
