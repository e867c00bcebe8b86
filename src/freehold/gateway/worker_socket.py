"""What a worker may ask: effects and model calls. Never a decision, never a secret, never a grant."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from sqlalchemy import Connection as Tx

from freehold.core.effects import Outcome
from freehold.core.metrics import Metrics
from freehold.gateway import deciding
from freehold.gateway.calls.boxes import Boxes
from freehold.gateway.edge import Answer, Edge, Say, decoded, route
from freehold.gateway.effects import Effects
from freehold.gateway.keeping import Keep
from freehold.gateway.models import Models
from freehold.gateway.requests import (
    BoxClosedRequest,
    BoxRequest,
    ChatRequest,
    DeliverRequest,
    JournaledRequest,
    Nothing,
    SandboxUsageRequest,
    SettleRequest,
    SubmitRequest,
)


def worker_edge(keep: Keep, models: Models, effects: Effects, boxes: Boxes, metrics: Metrics | None = None) -> Edge:
    """Return the edge of the worker's socket; what it is asked is counted in `metrics`."""
    counted = metrics or Metrics()

    async def submit(request: SubmitRequest) -> dict[str, Any]:
        outcome = await effects.submit(request)
        if outcome.fresh:
            counted.count("freehold_effects_total", state=str(outcome.state))
        else:
            counted.count("freehold_duplicates_suppressed_total", kind="effect")
        return _view(outcome)

    async def deliver(request: DeliverRequest) -> dict[str, Any]:
        return _view(await effects.deliver(request))

    async def close_box(request: BoxClosedRequest) -> None:
        await boxes.close(request.sandbox)

    async def health(_request: Nothing) -> dict[str, Any]:
        return {"ok": True}

    routes = {
        "chat": _chat(models),
        "submit": route(SubmitRequest, submit),
        "settle": route(SettleRequest, _written(keep, deciding.settle)),
        "deliver": route(DeliverRequest, deliver),
        "journaled": route(JournaledRequest, _written(keep, deciding.journaled)),
        "sandbox-usage": route(SandboxUsageRequest, _written(keep, deciding.sandbox_usage)),
        "boxes/open": route(BoxRequest, boxes.open),
        "boxes/close": route(BoxClosedRequest, close_box),
        "health": route(Nothing, health),
    }
    return Edge(routes, effects=frozenset({"chat", "submit", "deliver"}), streams=frozenset({"chat"}))


def _chat(models: Models) -> Answer:
    decoder = msgspec.json.Decoder(ChatRequest)

    async def answer(body: bytes, say: Say | None) -> Any:
        return await models.chat(decoded(decoder, body), say)

    return answer


def _written(keep: Keep, do: Callable[[Tx, Keep, Any], None]) -> Callable[[Any], Awaitable[None]]:
    async def answer(request: Any) -> None:
        await keep.write(lambda tx: do(tx, keep, request))

    return answer


def _view(outcome: Outcome) -> dict[str, Any]:
    return {
        "state": outcome.state,
        "hash": outcome.hash,
        "result": outcome.result,
        "error": outcome.error,
        "fresh": outcome.fresh,
        "kind": outcome.kind,
        "attempts": outcome.attempts,
    }
