"""The tool `delegate`: hands a task to a child run of the same version and parks until it is done."""

from collections.abc import Sequence
from typing import Annotated, Final, final

import msgspec
from typing_extensions import override

from freehold.agents.effects import read, schema, submit
from freehold.agents.patience import while_away
from freehold.agents.ports import Gateway
from freehold.agents.sources import Call, Result, ToolSource, ToolSpec, failed, refused
from freehold.core.agents import Version
from freehold.core.effects import SANDBOX, EffectState
from freehold.core.parts import Origin
from freehold.runs.segment import Segment

NAME: Final = "delegate"
MAX_DEPTH: Final = 8


class Task(msgspec.Struct, forbid_unknown_fields=True):
    task: Annotated[str, msgspec.Meta(min_length=1, description="Everything the other one needs to know.")]


@final
class Delegating(ToolSource):
    """Children of the run."""

    def __init__(self, gateway: Gateway) -> None:
        """Have the gateway judge it like everything else."""
        self._gateway = gateway
        self._schema = schema(Task)

    @override
    def tools(self, version: Version) -> Sequence[ToolSpec]:
        if NAME not in version.spec.tools:
            return []
        about = "Give a task to a helping copy of yourself, which sees nothing but the task, and get its answer."
        verdict = version.spec.tools[NAME]
        return [ToolSpec(name=NAME, description=about, parameters=self._schema, verdict=verdict, origin=Origin.MODEL)]

    @override
    async def call(self, segment: Segment, call: Call) -> Result:
        try:
            wanted = read(call.arguments, Task)
        except msgspec.ValidationError as error:
            return failed("bad_arguments", f"{NAME} cannot be called like this: {error}.")
        if segment.run.depth >= MAX_DEPTH:
            return refused("too_deep", f"Runs are nested {MAX_DEPTH} deep already.", "Do it yourself.")
        arguments = {"task": wanted.task}
        opened, result = await submit(
            self._gateway, segment, call, connection=SANDBOX, operation=NAME, arguments=arguments
        )
        if opened is None:
            return result
        child: Result = {"child": {"text": wanted.task}}

        async def settle() -> None:
            await self._gateway.settle(segment.work(), key=call.key, state=EffectState.DONE, result=child)

        await while_away(segment.clock, settle)
        return child
