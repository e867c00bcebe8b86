"""The rehearsal model as a driver: reads a conversation, does what it was told, says what came of it."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from typing import Any, Final, final

import msgspec
from typing_extensions import override

from freehold.core.clock import Clock
from freehold.core.errors import Invalid
from freehold.drivers.model.rehearsal.knobs import NAME, Knobs, knobs
from freehold.drivers.model.rehearsal.phrases import Wish, plan
from freehold.drivers.model.rehearsal.spelling import Said, asked_only, event, failure, last_events, once, others, spelt
from freehold.drivers.model.rehearsal.talk import answer, report, text_of
from freehold.gateway.asked import Behalf
from freehold.gateway.calls import chat_reading
from freehold.gateway.calls.readings import Whole
from freehold.gateway.formats import Answer, Api, Asked, ModelDriver, Reading, Sent
from freehold.gateway.ports import Call, Credential

REMEMBERED: Final = 10_000
"""Runs whose failures are counted; the oldest are forgotten."""
BYTES_PER_TOKEN: Final = 4
RUN: Final = "x-freehold-run"
"""Tells for which run it answers."""


@final
class RehearsalModel(ModelDriver):
    """Stands in for a model, the same way every time; what it says travels as a chat completion and nowhere else."""

    kind = NAME
    native = frozenset({Api.CHAT, Api.EMBEDDINGS, Api.MODELS})
    adapted: frozenset[Api] = frozenset()

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
    def request(
        self, asked: Asked, *, model: str, config: Mapping[str, Any], credential: Credential, limit: int | None = None
    ) -> Sent:
        if asked.api not in self.native:
            raise Invalid(
                "The rehearsal model only talks.", code="not_supported", remedy="Connect a provider that can do that."
            )
        headers = {RUN: asked.headers.get(RUN, ""), "model": model, "api": asked.api}
        return Sent(method="POST", url=NAME, headers=headers, body=asked.body, stream=asked.stream)

    @override
    def reading(self, asked: Asked, answer: Answer) -> Reading:
        if asked.api is Api.CHAT:
            return chat_reading.reading(asked, answer)
        return Whole(chat_reading.whole_units, needs="data")

    @override
    async def send(self, sent: Sent, behalf: Behalf, on_sent: Callable[[], None]) -> Answer:
        on_sent()
        turned = knobs(sent.headers["model"])
        if turned.fail and self._fails(sent.headers[RUN], turned):
            await self._clock.sleep(turned.delay)
            return failure(turned.fail)
        body = _decoded(sent.body)
        if sent.headers["api"] != Api.CHAT:
            return Answer(status=200, headers={"content-type": "application/json"}, chunks=once(others(sent, body)))
        said = Said(*_reply(body), usage_in=0, usage_out=0)
        usage = turned.usage or (
            _tokens(asked_only(body)),
            _tokens([said.text, [call.arguments for call in said.calls]]),
        )
        said = replace(said, usage_in=usage[0], usage_out=usage[1])
        if not sent.stream:
            await self._clock.sleep(turned.delay)
            return Answer(status=200, headers={"content-type": "application/json"}, chunks=once(spelt(said)))
        return Answer(status=200, headers={"content-type": "text/event-stream"}, chunks=self._said(said, turned))

    def _fails(self, run: str, turned: Knobs) -> bool:
        failed = self._failed.pop(run, 0)
        self._failed[run] = failed + 1
        if len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)
        return not turned.times or failed < turned.times

    async def _said(self, said: Said, turned: Knobs) -> AsyncGenerator[bytes, None]:
        size = max(1, -(-len(said.text) // turned.pieces))
        pieces = [said.text[at : at + size] for at in range(0, len(said.text), size)] or [""]
        for piece in pieces:
            if turned.delay:
                await self._clock.sleep(turned.delay / len(pieces))
            elif len(pieces) > 1:
                await self._clock.sleep(0)
            if piece:
                yield event({"content": piece})
        yield last_events(said)


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


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Invalid("The request is no JSON.", code="bad_request", remedy="Send a chat completion.") from error
    return told if isinstance(told, dict) else {}


def _tokens(value: object) -> int:
    """Count tokens in a way that is always the same: a quarter of the bytes, rounded up."""
    return -(-len(json.dumps(value, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")) // BYTES_PER_TOKEN)
