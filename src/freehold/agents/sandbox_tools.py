"""
The tools that work in the run's sandbox: a shell and files.

The gateway judges each call and writes it down; when it says *open*, the guest carries it out and the gateway is
told what became of it. A sandbox that dies costs the call, never the run.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, final

import msgspec
from typing_extensions import override

from freehold.agents.effects import ours, read, schema, submit, told
from freehold.agents.patience import while_away
from freehold.agents.ports import Gateway, Hands
from freehold.agents.sources import Call, Result, ToolSource, ToolSpec, failed
from freehold.core.agents import Version
from freehold.core.effects import SANDBOX, EffectState, Outcome
from freehold.core.errors import FreeholdError, Invalid, NotFound, Unavailable
from freehold.core.parts import Origin
from freehold.runs.segment import Segment
from freehold.sandboxes.runtime import Ended, Guest

log = logging.getLogger(__name__)

CAP: Final = 100_000
"""Bytes of output or of a file that one call gives back."""


class Shell(msgspec.Struct, forbid_unknown_fields=True):
    command: Annotated[str, msgspec.Meta(min_length=1, description="What to run with /bin/sh, in /work.")]
    timeout: Annotated[float, msgspec.Meta(ge=0, description="Seconds after which it is killed; 0: the usual.")] = 0.0


class OnePath(msgspec.Struct, forbid_unknown_fields=True):
    path: Annotated[str, msgspec.Meta(min_length=1, description="Relative to /work.")]


class Writing(msgspec.Struct, forbid_unknown_fields=True):
    path: Annotated[str, msgspec.Meta(min_length=1, description="Relative to /work; folders are made.")]
    content: Annotated[str, msgspec.Meta(description="The whole text of the file.")]


class Listing(msgspec.Struct, forbid_unknown_fields=True):
    path: Annotated[str, msgspec.Meta(description="A folder, relative to /work.")] = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doing:
    """One call on its way through the sandbox."""

    guest: Guest
    key: str
    again: bool
    """Whether an earlier attempt may have got somewhere."""
    timeout: float


Do = Callable[[_Doing, Any], Awaitable[Result]]


async def _shell(doing: _Doing, asked: Shell) -> Result:
    timeout = min(asked.timeout or doing.timeout, doing.timeout)
    argv = ["/bin/sh", "-c", asked.command]
    ended = await doing.guest.run(argv, key=doing.key, timeout=timeout, cap=CAP)
    if ended.interrupted:
        return {"interrupted": True}
    return {"value": printed(ended, timeout), "exit": ended.exit}


async def _read_file(doing: _Doing, asked: OnePath) -> Result:
    data = await doing.guest.read_file(asked.path, cap=CAP)
    if b"\0" in data:
        return failed("not_text", f"{asked.path} is no text.", "Look at it with the shell.")
    return {"value": data.decode("utf-8", "replace")}


async def _write_file(doing: _Doing, asked: Writing) -> Result:
    data = asked.content.encode("utf-8", "replace")
    await doing.guest.write_file(asked.path, data)
    return {"value": f"{len(data)} bytes are written to {asked.path}."}


async def _list_files(doing: _Doing, asked: Listing) -> Result:
    entries = await doing.guest.list_files(asked.path)
    lines = [f"{entry.name}/" if entry.kind == "folder" else f"{entry.name}  {entry.size}" for entry in entries]
    return {"value": "\n".join(lines)[:CAP] or "(empty)"}


async def _delete_file(doing: _Doing, asked: OnePath) -> Result:
    try:
        await doing.guest.delete_file(asked.path)
    except NotFound:
        if not doing.again:
            raise
        # The first attempt did it and died before it could say so.
    return {"value": f"{asked.path} is deleted."}


_TOOLS: Final[dict[str, tuple[type[Any], str, Do]]] = {
    "shell": (Shell, "Run a command in your sandbox and get what it prints. There is no network.", _shell),
    "read_file": (OnePath, "Get the text of a file in your workspace.", _read_file),
    "write_file": (Writing, "Write a file in your workspace, replacing what was there.", _write_file),
    "list_files": (Listing, "List a folder of your workspace.", _list_files),
    "delete_file": (OnePath, "Delete a file or an empty folder of your workspace.", _delete_file),
}
NAMES: Final = frozenset(_TOOLS)


@final
class SandboxTools(ToolSource):
    """Shell and files, in the sandbox of the run."""

    def __init__(self, gateway: Gateway, sandboxes: Hands, *, timeout: float) -> None:
        """Let one command take `timeout` seconds at most."""
        self._gateway, self._sandboxes, self._timeout = gateway, sandboxes, timeout
        self._schemas = {name: schema(kind) for name, (kind, _description, _do) in _TOOLS.items()}

    @override
    def tools(self, version: Version) -> Sequence[ToolSpec]:
        return [
            ToolSpec(
                name=name,
                description=description,
                parameters=self._schemas[name],
                verdict=version.spec.tools[name],
                origin=Origin.SANDBOX,
                alone=True,  # they share one workspace: a reply's calls happen in the order it made them
            )
            for name, (_kind, description, _do) in _TOOLS.items()
            if name in version.spec.tools
        ]

    @override
    async def call(self, segment: Segment, call: Call) -> Result:
        kind, _description, do = _TOOLS[call.name]
        try:
            wanted = read(call.arguments, kind)
        except msgspec.ValidationError as error:
            return failed("bad_arguments", f"{call.name} cannot be called like this: {error}.")
        arguments = dict(call.arguments) if isinstance(call.arguments, dict) else {}
        opened, result = await submit(
            self._gateway, segment, call, connection=SANDBOX, operation=call.name, arguments=arguments
        )
        if opened is None:
            return result
        state, result = await self._carry_out(segment, call, opened, do, wanted)
        await self._settle(segment, call, state, result)
        return result

    async def _carry_out(
        self, segment: Segment, call: Call, opened: Outcome, do: Do, wanted: Any
    ) -> tuple[EffectState, Result]:
        begun = False
        try:
            guest = await self._sandboxes.awake(segment.work(), segment.tenant.uid)
            begun = True
            result = await do(_Doing(guest=guest, key=call.key, again=not opened.fresh, timeout=self._timeout), wanted)
        except FreeholdError as error:
            sure = not begun or isinstance(error, NotFound | Invalid)
            return (EffectState.FAILED if sure else EffectState.UNKNOWN), told(
                _fit_for_a_model(error, segment, begun=begun)
            )
        if "value" in result:
            return EffectState.DONE, result
        return (EffectState.UNKNOWN if result.get("interrupted") else EffectState.FAILED), result

    async def _settle(self, segment: Segment, call: Call, state: EffectState, result: Result) -> None:
        done = result if state is EffectState.DONE else None

        async def settle() -> None:
            await self._gateway.settle(
                segment.work(), key=call.key, state=state, result=done, error=result.get("error")
            )

        try:
            await while_away(segment.clock, settle)
        except FreeholdError as error:
            if ours(error):
                raise
            # It stands otherwise in the gateway's book already: what the guest did is what the model is told.


def _fit_for_a_model(error: FreeholdError, segment: Segment, *, begun: bool) -> FreeholdError:
    """Return what a model may read of `error`: why a sandbox is away names this machine's folders, and is the operator's."""
    if not isinstance(error, Unavailable):
        return error
    log.warning("A sandbox of run %s: %s", segment.run.id, error)
    if begun:
        ended = "The sandbox ended before the call was over; some of it may be done."
        return Unavailable(ended, code="sandbox_died", remedy="Look at what is there before you call it again.")
    return Unavailable(
        "There is no sandbox to be had now.", code=error.code, remedy="An operator finds out why with: freehold doctor"
    )


def printed(ended: Ended, timeout: float) -> str:
    """Return what a command printed and how it ended, for a reader."""
    out, err = (text.decode("utf-8", "replace") for text in (ended.stdout, ended.stderr))
    lines = [out] if out else []
    if err:
        lines.append(f"[standard error]\n{err}" if out else err)
    if ended.cut:
        lines.append(f"[{ended.printed} bytes in all; the rest is left out]")
    if ended.timed_out:
        lines.append(f"[killed after {timeout:g} seconds]")
    elif ended.exit:
        lines.append(f"[exit status {ended.exit}]")
    return "\n".join(line.removesuffix("\n") for line in lines) or "(no output)"
