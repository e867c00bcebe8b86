"""The rehearsal model as a driver: reads a conversation, does what it was told, says what came of it."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, final

from typing_extensions import override

from freehold.core.clock import Clock
from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.drivers.model.rehearsal.knobs import NAME, Knobs, knobs
from freehold.drivers.model.rehearsal.phrases import Wish, plan
from freehold.drivers.model.rehearsal.talk import answer, report, text_of
from freehold.gateway.ports import Call, ModelCall, ModelDriver, ModelReply

REMEMBERED: Final = 10_000
"""Runs whose failures are counted; the oldest are forgotten."""
BYTES_PER_TOKEN: Final = 4


@final
class RehearsalModel(ModelDriver):
    """Stands in for a model, the same way every time."""

    kind = NAME

    def __init__(self, clock: Clock) -> None:
        """Wait by `clock`."""
        self._clock = clock
        self._failed: OrderedDict[str, int] = OrderedDict()

    @override
    def check_config(self, config: Mapping[str, Any]) -> None:
        raise Invalid("The rehearsal model is built in.", code="unknown_kind", remedy="Use the model `rehearsal`.")

    @override
    def check(self, model: str) -> None:
        knobs(model)

    @override
    async def chat(self, call: ModelCall) -> ModelReply:
        turned = knobs(call.model)
        call.sent()
        if turned.fail and self._fails(call.run, turned):
            await self._clock.sleep(turned.delay)
            raise _failure(turned.fail)
        text, calls = _reply(call.body)
        await self._say(call, text, turned)
        usage = turned.usage or (_tokens(call.body), _tokens([text, [call.arguments for call in calls]]))
        return ModelReply(
            text=text,
            calls=calls,
            finish="tool_calls" if calls else "stop",
            usage_in=usage[0],
            usage_out=usage[1],
            estimated=False,
            model=NAME,
        )

    def _fails(self, run: str, turned: Knobs) -> bool:
        failed = self._failed.pop(run, 0)
        self._failed[run] = failed + 1
        if len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)
        return not turned.times or failed < turned.times

    async def _say(self, call: ModelCall, text: str, turned: Knobs) -> None:
        size = max(1, -(-len(text) // turned.pieces))
        pieces = [text[at : at + size] for at in range(0, len(text), size)] or [""]
        for piece in pieces:
            if turned.delay:
                await self._clock.sleep(turned.delay / len(pieces))
            elif len(pieces) > 1:
                await self._clock.sleep(0)
            if piece:
                call.on_text(piece)


def _reply(body: Mapping[str, Any]) -> tuple[str, tuple[Call, ...]]:
    """Return what to say and which tools to call, given the whole conversation."""
    messages = [message for message in body.get("messages", []) if isinstance(message, dict)]
    users = [at for at, message in enumerate(messages) if message.get("role") == "user"]
    said = [text_of(messages[at].get("content")) for at in users]
    since = messages[users[-1] + 1 :] if users else []
    steps = plan(said[-1]) if said else []
    done = sum(1 for message in since if message.get("tool_calls"))
    if done < len(steps):
        offered = _offered(body)
        seed = f"{len(messages)}/{done}/{said[-1]}"
        return "", tuple(_call(wish, offered, f"{seed}/{at}") for at, wish in enumerate(steps[done]))
    results = _results(since)
    return (report(results) if results else answer(said)), ()


def _call(wish: Wish, offered: frozenset[str], seed: str) -> Call:
    """Return the call a wish means; a connection's operation goes by whichever name the tool was offered under."""
    name, operation = wish.tool.partition(".")[::2]
    spellings = (wish.tool, f"{name}__{operation}", f"{name}_{operation}", f"{name}-{operation}", operation)
    tool = next((spelling for spelling in spellings if spelling in offered), wish.tool)
    made = hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:24]
    return Call(id=f"call_{made}", name=tool, arguments=wish.arguments)


def _offered(body: Mapping[str, Any]) -> frozenset[str]:
    tools = [tool.get("function") for tool in body.get("tools") or [] if isinstance(tool, dict)]
    return frozenset(str(function.get("name")) for function in tools if isinstance(function, dict))


def _results(since: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return name and content of every tool result since the person spoke."""
    names = {
        call.get("id"): str(call.get("function", {}).get("name", "tool"))
        for message in since
        for call in message.get("tool_calls") or []
    }
    return [
        (names.get(message.get("tool_call_id"), "tool"), text_of(message.get("content")))
        for message in since
        if message.get("role") == "tool"
    ]


def _tokens(value: object) -> int:
    """Count tokens in a way that is always the same: a quarter of the bytes, rounded up."""
    return -(-len(json.dumps(value, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def _failure(fail: str) -> FreeholdError:  # noqa: PLR0911 - one per kind of failure
    said = f"The rehearsal model was told to fail ({fail})."
    if fail in {"timeout", "cut", "malformed"}:
        return Unavailable(said, code=f"provider_{fail}", after=1.0)
    status = int(fail)
    if status == 429:  # noqa: PLR2004
        return Unavailable(said, code="provider_busy", after=1.0)
    if status in {401, 403}:
        return Denied(said, code="provider_refused", remedy="Take the knob out of the model's name.")
    if status >= 500:  # noqa: PLR2004
        return Unavailable(said, code="provider_unavailable", after=1.0)
    return Invalid(said, code="provider_rejected", remedy="Take the knob out of the model's name.")
