"""
Asking the model: each attempt is a recorded step, so that a repeated segment reads its replies back.

What is worth another try is tried again after a pause, under the next key; a long pause parks the run, and
what no repeat can mend fails it with the provider's own code. Where money has run out a person may be asked for more.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final, final

from freehold.agents.chat import body, wire_name
from freehold.agents.choosing import model_of
from freehold.agents.context import Context, call_of, made_of, plain
from freehold.agents.effects import ours
from freehold.agents.patience import LONGEST_PAUSE, OURS, pause, while_away
from freehold.agents.ports import Gateway
from freehold.agents.sources import Call, Result, ToolSpec
from freehold.agents.spending import ask_for_more
from freehold.agents.stopping import Stop, fail
from freehold.core.errors import Conflict, Denied, Exhausted, Invalid, NotFound, Unavailable
from freehold.core.extending import EXHAUSTED, HELD_BY_OTHERS
from freehold.core.parts import Origin, Part, Role
from freehold.core.runs import WaitsFor
from freehold.gateway.client import ChatReply
from freehold.runs.endings import Park
from freehold.runs.segment import Segment

MAX_REPLIES: Final = 200
"""How often a model may answer in one run: who needs more is going in circles."""
REMEDIES: Final = {
    "provider_unavailable": "See whether the provider is up; then say it again.",
    "provider_busy": "Wait until the provider's limit allows more, or use another model.",
    "provider_refused": "Check the connection's secret: freehold secret set NAME.",
    "provider_cut": "Say it again; if it goes on, see whether the provider is up.",
    "provider_malformed": "See whether the connection's base_url is that of an API that speaks OpenAI's chat completions.",
    "provider_timeout": "Say it again, or raise FREEHOLD_MODEL_TIMEOUT.",
}


@final
class Asking:
    """One segment's way to its model."""

    def __init__(
        self, gateway: Gateway, segment: Segment, context: Context, *, tools: Sequence[ToolSpec], attempts: int
    ) -> None:
        """Show the model `context` and offer it `tools`; give up after `attempts` failures in a row."""
        self._gateway, self._segment, self._context = gateway, segment, context
        self._tools, self._attempts = tools, attempts
        self._model = model_of(segment.run, segment.version)
        self._asked = 0
        self._failed = 0

    async def ask(self) -> tuple[str, list[Call]]:
        """Return the text and the calls of the model's next reply, recorded and added to the context."""
        if self._context.replies(self._segment.run.id) >= MAX_REPLIES:
            raise fail(
                "too_many_steps",
                f"The model has answered {MAX_REPLIES} times in this run without coming to an end.",
                "Give it a smaller task, or say it in more exact words.",
            )
        while True:
            key, result = await self._attempt()
            if "error" not in result:
                self._failed = 0
                parts = self._parts(result)
                self._context.add(parts)
                return result["text"], [call_of(part) for part in parts[1:]]
            if result["error"]["code"] == EXHAUSTED and not result["retry"]:
                await ask_for_more(self._gateway, self._segment, asked=key, result=result)
            else:
                await self._recover(result)

    async def _attempt(self) -> tuple[str, Result]:
        segment = self._segment
        self._asked += 1
        key = f"{segment.run.id}/{segment.run.segment}/{self._asked}/0"

        async def do() -> Result:
            if segment.repeated or self._failed:
                segment.live("reset", key=key)
            return await self._chat(key)

        return key, await segment.step(key=key, kind="model", name=self._model, do=do, parts=self._parts)

    async def _chat(self, key: str) -> Result:
        try:
            reply = await while_away(self._segment.clock, self._streaming(key))
        except Unavailable as error:
            if error.code in OURS:
                raise  # our own house: not an answer to write down
            return _error(error.code, error.message, error.remedy, retry=True, after=error.after)
        except Conflict as error:
            if error.code != "key_reused":
                raise  # somebody else owns the run now
            # The question has changed since it was asked first, as after an update: ask it under the next key.
            return _error(error.code, error.message, error.remedy, retry=True, after=0.0)
        except (Invalid, Denied, Exhausted, NotFound) as error:
            if ours(error):
                raise
            held = error.facts.get(HELD_BY_OTHERS) if error.code == EXHAUSTED else None
            after = float(held) if isinstance(held, int | float) else 0.0
            told = _error(error.code, error.message, error.remedy, retry=after > 0, after=after)
            return told | ({"facts": error.facts} if error.code == EXHAUSTED else {})
        return self._recorded(reply, key)

    def _streaming(self, key: str) -> Callable[[], Awaitable[ChatReply]]:
        """Return what asks the model and shows its words as they come, from the first one whenever it asks again."""
        segment, asked, said = self._segment, body(self._context.shown(), self._tools), False

        def say(text: str) -> None:
            nonlocal said
            said = True
            segment.live("delta", key=key, text=text)

        async def chat() -> ChatReply:
            if said:  # the gateway died in the middle of it
                segment.live("reset", key=key)
            return await self._gateway.chat(segment.work(), key=key, model=self._model, body=asked, on_text=say)

        return chat

    def _recorded(self, reply: ChatReply, key: str) -> Result:
        names = {wire_name(tool.name): tool.name for tool in self._tools}
        ids = set(self._context.ids())
        calls: list[dict[str, Any]] = []
        for n, call in enumerate(reply.calls, start=1):
            own = f"{key.rpartition('/')[0]}/{n}"
            known = call.id if call.id and call.id not in ids else hashlib.sha256(own.encode()).hexdigest()[:9]
            ids.add(known)
            name = names.get(call.name, call.name)
            calls.append({"id": known, "name": name, "arguments": plain(call.arguments), "key": own})
        return {
            "text": reply.text.encode("utf-8", "replace").decode(),
            "key": key,
            "calls": calls,
            "usage": {"in": reply.usage_in, "out": reply.usage_out},
            "cost_nano": reply.cost_nano,
            "model": reply.model,
        }

    def _parts(self, result: Result) -> list[Part]:
        """Return what a recorded reply adds to the context: nothing for a failed attempt."""
        if "error" in result:
            return []
        label = made_of(self._context.label, Origin.MODEL)
        text = {"text": result["text"], "key": result["key"]}
        calls = [Part(role=Role.CALL, content=call, label=label) for call in result["calls"]]
        return [Part(role=Role.ASSISTANT, content=text, label=label), *calls]

    async def _recover(self, result: Result) -> None:
        """Wait until another attempt makes sense, or raise the way out."""
        error = result["error"]
        self._failed += 1
        if not result["retry"] or self._failed >= self._attempts:
            raise fail(error["code"], error["message"], error["remedy"] or REMEDIES.get(error["code"], ""))
        seconds = pause(self._failed, result["after"])
        if seconds > LONGEST_PAUSE:
            wake_at = self._segment.clock.now() + timedelta(seconds=seconds)
            raise Stop(Park(waits_for=WaitsFor.OUTAGE, wake_at=wake_at, reason=error["message"]))
        await self._segment.clock.sleep(seconds)


def _error(code: str, message: str, remedy: str, *, retry: bool, after: float) -> Result:
    return {"error": {"code": code, "message": message, "remedy": remedy}, "retry": retry, "after": after}
