"""A gateway in memory, as agents see it: scripted replies, and effects that happen at most once per key."""

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, final

from freehold.audit.canonical import digest
from freehold.core.effects import BUDGET, SANDBOX, Effect, EffectKind, EffectState, Outcome, Verdict
from freehold.core.errors import Conflict, FreeholdError
from freehold.gateway.client import ChatReply, OnText, ToolCall, Work

Line = str | list[tuple[str, Any]] | FreeholdError | Callable[[dict[str, Any]], ChatReply]
"""What a scripted model does next: say text, call tools as (name, arguments), fail, or look at the request."""


@final
class MemoryGateway:
    """Does what `freehold.gateway.client.WorkerGateway` does, without a process."""

    def __init__(self, lines: Iterable[Line] = (), *, verdicts: dict[str, Verdict] | None = None) -> None:
        """Let the model go through `lines`; a tool not in `verdicts` is allowed."""
        self.lines = list(lines)
        self.verdicts = dict(verdicts or {})
        self.asked: list[dict[str, Any]] = []
        """Bodies of the model calls that were really made, in order."""
        self.performed: list[str] = []
        """Keys of effects that this gateway carried out itself, in order."""
        self.effects: dict[str, Outcome] = {}
        self.perform: Callable[[Effect], dict[str, Any]] = lambda effect: {"ok": True}
        """Does what an effect of a connection does."""
        self.breaking_off = 0
        """Of how many effects from now on nobody knows what came of them."""
        self.kind: str = EffectKind.MESSAGE
        """What all effects of connections do."""
        self.away: list[FreeholdError] = []
        """What the next questions of any kind meet instead of an answer."""
        self.breaks: list[FreeholdError] = []
        """What the next streamed replies meet behind their first word; such a line is said again."""
        self.held: asyncio.Event | None = None
        """While there is one that is not set, nothing is answered."""
        self.waiting = asyncio.Event()
        """Set once a question came in while nothing was answered."""
        self._replies: dict[str, tuple[str, ChatReply]] = {}
        self._approved: set[str] = set()

    async def chat(
        self, work: Work, *, key: str, model: str, body: dict[str, Any], on_text: OnText | None = None
    ) -> ChatReply:
        """Return the reply of the next line, or the one this key had before."""
        await self._reach()
        hash_ = digest(body)
        if key in self._replies:
            known, reply = self._replies[key]
            if known != hash_:
                raise Conflict("Something else was asked for under this key before.", code="key_reused")
            return reply
        self.asked.append(body)
        line = self.lines[0] if self.breaks else self.lines.pop(0)
        if isinstance(line, FreeholdError):
            raise line
        reply = line(body) if callable(line) else reply_of(line, n=len(self.asked), model=model)
        if on_text is not None:
            for word in re.findall(r"\S+\s*", reply.text):
                on_text(word)
                if self.breaks:
                    raise self.breaks.pop(0)
        self._replies[key] = (hash_, reply)
        return reply

    async def submit(self, work: Work, effect: Effect) -> Outcome:
        """Judge an effect and carry it out, unless it is the sandbox's."""
        await self._reach()
        hash_ = digest({"connection": effect.connection, "operation": effect.operation, "arguments": effect.arguments})
        known = self.effects.get(effect.key)
        if known is not None and known.hash != hash_:
            raise Conflict("Something else was asked for under this key before.", code="key_reused")
        waits = known is not None and known.state in {EffectState.ASKED, EffectState.UNKNOWN}
        if known is not None and not (waits and effect.key in self._approved):
            return replace(known, fresh=False)
        self._approved.discard(effect.key)
        name = effect.operation if effect.connection == SANDBOX else f"{effect.connection}.{effect.operation}"
        usual = Verdict.ASK if effect.connection == BUDGET else Verdict.ALLOW
        verdict = Verdict.ALLOW if known else self.verdicts.get(name, usual)
        outcome = self._first(effect, verdict, hash_)
        self.effects[effect.key] = outcome
        return outcome

    async def settle(
        self,
        work: Work,
        *,
        key: str,
        state: EffectState,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        """Take note of what became of an effect of the sandbox."""
        await self._reach()
        self.effects[key] = Outcome(state=state, hash=self.effects[key].hash, result=result, error=error)

    def approve(self, key: str) -> None:
        """Decide, as a person would through web, that the effect may happen."""
        self._approved.add(key)

    def _first(self, effect: Effect, verdict: Verdict, hash_: str) -> Outcome:  # noqa: PLR0911 - one per outcome
        if verdict is Verdict.ASK:
            kind = "" if effect.connection == SANDBOX else self.kind
            return Outcome(state=EffectState.ASKED, hash=hash_, kind=kind)
        if verdict is Verdict.DENY:
            error = {"code": "not_granted", "message": "This version was not granted that.", "remedy": ""}
            return Outcome(state=EffectState.REFUSED, hash=hash_, error=error)
        if effect.connection == SANDBOX:
            return Outcome(state=EffectState.OPEN, hash=hash_)
        self.performed.append(effect.key)
        result = self.perform(effect)
        if not self.breaking_off:
            return Outcome(state=EffectState.DONE, hash=hash_, result=result, kind=self.kind)
        self.breaking_off -= 1
        attempts = self.performed.count(effect.key)
        return Outcome(state=EffectState.UNKNOWN, hash=hash_, kind=self.kind, attempts=attempts)

    async def _reach(self) -> None:
        if self.held is not None:
            self.waiting.set()
            await self.held.wait()
        if self.away:
            raise self.away.pop(0)


def reply_of(line: str | list[tuple[str, Any]], *, n: int = 1, call_id: str = "", model: str = "scripted") -> ChatReply:
    """Return the reply that says or calls `line`, as the `n`-th of its run; `call_id` is given to every call."""
    named = [] if isinstance(line, str) else list(enumerate(line, start=1))
    calls = tuple(
        ToolCall(id=call_id or f"call_{n}_{at}", name=name, arguments=arguments) for at, (name, arguments) in named
    )
    return ChatReply(
        text=line if isinstance(line, str) else "",
        calls=calls,
        finish="tool_calls" if calls else "stop",
        usage_in=10,
        usage_out=5,
        cost_nano=30_000,
        model=model,
    )
