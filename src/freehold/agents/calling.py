"""Carrying out what the model calls: each call is a recorded step, its result a labelled part."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, final

from freehold.agents.context import Context, made_of, plain, text_of
from freehold.agents.effects import UNKNOWN
from freehold.agents.sources import Call, Result, ToolSource, ToolSpec, refused
from freehold.core.approvals import Approval, ApprovalState
from freehold.core.effects import Verdict
from freehold.core.parts import Origin, Part, Role
from freehold.core.runs import RunState
from freehold.runs.segment import Segment

BRIEF: Final = 200
"""Characters of an argument that events show."""
Do = Callable[[], Awaitable[Result]]

INTERRUPTED: Final = (
    "This was begun before an interruption, and nobody knows whether it came to its end. "
    "It was not done again: look at how things stand before you repeat it."
)

EXPIRED: Final = ("approval_expired", "Nobody answered in time whether this may be done.")
DENIED: Final = ("approval_denied", "A person denied this.", "Do not try it in another way; ask what to do.")
NOT_REPEATED: Final = (
    "not_repeated",
    "This was begun and broke off: it may have happened, or it may not. A person decided that it is not done again.",
    "Do not repeat it; say what you know, and what you do not.",
)


@final
class Calling:
    """The tools of one segment."""

    def __init__(self, sources: Sequence[ToolSource], segment: Segment, context: Context) -> None:
        """Find the tools that the segment's version has in `sources`."""
        self._segment, self._context = segment, context
        found = [(source, spec) for source in sources for spec in source.tools(segment.version)]
        self._sources = {spec.name: source for source, spec in found}
        self._specs = {spec.name: spec for _source, spec in found}

    @property
    def specs(self) -> list[ToolSpec]:
        """Every tool the version names, those it denies included."""
        return list(self._specs.values())

    @property
    def offered(self) -> list[ToolSpec]:
        """The tools a model is told of."""
        return [spec for spec in self._specs.values() if spec.verdict is not Verdict.DENY]

    def knows(self, name: str) -> bool:
        """Return whether the version names this tool."""
        return name in self._specs

    async def call(self, call: Call) -> Result:
        """Carry `call` out as a step and return its tagged result."""
        source = self._sources.get(call.name)

        async def do() -> Result:
            if source is None:
                return refused("unknown_tool", f"There is no tool {call.name!r}.", "Use only the tools you were given.")
            return await source.call(self._segment, call)

        return await self._step(call, do=do)

    async def decided(self, call: Call, approval: Approval) -> Result:
        """Record that a person did not allow `call`, or that nobody answered, and return that."""

        async def do() -> Result:
            expired = approval.state is ApprovalState.EXPIRED
            if approval.again:
                return {"error": UNKNOWN} if expired else refused(*NOT_REPEATED)
            return refused(*EXPIRED) if expired else refused(*DENIED)

        return await self._step(call, do=do)

    async def delegated(self, call: Call, ended: dict[str, object]) -> Result:
        """Record what the child run that answers `call` came to, and return it."""

        async def do() -> Result:
            if ended.get("state") == RunState.DONE:
                return {"value": ended.get("output") or ""}
            return {"error": ended.get("error") or {"code": "child_cancelled", "message": "That run was cancelled."}}

        return await self._step(call, do=do)

    async def _step(self, call: Call, *, do: Do) -> Result:
        run = self._segment.run
        # Taken up again in a later segment, after a person or a child answered, a call is a step of that segment too.
        mine = call.key.startswith(f"{run.id}/{run.segment}/")
        key = call.key if mine else f"{call.key}/{run.segment}"
        label = made_of(self._context.reply_label, self._origin(call))

        def parts(result: Result) -> list[Part]:
            if "asked" in result or "child" in result:
                return []
            content = {"id": call.id, "name": call.name, "value": plain(_told(result))}
            return [Part(role=Role.RESULT, content=content, label=label)]

        about = {"call": call.id, "arguments": _brief(call.arguments)}
        result = await self._segment.step(key=key, kind="tool", name=call.name, do=do, parts=parts, about=about)
        self._context.add(parts(result))
        return result

    def _origin(self, call: Call) -> Origin:
        spec = self._specs.get(call.name)
        return spec.origin if spec else Origin.OWNER


def _brief(arguments: dict[str, Any] | str) -> dict[str, str]:
    """Return arguments as an event shows them: enough to see what is meant."""
    named = {"": arguments} if isinstance(arguments, str) else arguments
    texts = {name: text_of(value) for name, value in named.items()}
    return {name: text if len(text) <= BRIEF else f"{text[:BRIEF]}…" for name, text in texts.items()}


def _told(result: Result) -> object:
    """Return what a model is told about a tagged result."""
    if "value" in result:
        return result["value"]
    return {"interrupted": INTERRUPTED} if result.get("interrupted") else result
