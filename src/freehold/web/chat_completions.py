"""
Every agent is a model: `TENANT/AGENT` on OpenAI's chat completions, streamed or not.

A request is a message like any other: kept, answered by a durable run, audited. It belongs to a conversation of
its own unless `metadata.conversation` names one. A run that stops to ask a person answers with a text that says
so; it goes on once that person has decided.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response, StreamingResponse

from freehold.core.errors import Exhausted, FreeholdError, Invalid, NotFound
from freehold.core.extending import PAYMENT
from freehold.core.parts import Origin
from freehold.core.runs import Run, RunState
from freehold.core.tenants import Caller, Tenant, TenantState
from freehold.failpoints import reach
from freehold.ingress.accepting import Arrival
from freehold.store.scope import Tenancy
from freehold.store.threads import in_thread
from freehold.web.access import IdempotencyKey, TheCaller, TheState, require_changing
from freehold.web.arriving import WEB, Traceparent, arrived
from freehold.web.events import HEADERS, KEEP_ALIVE, MEDIA_TYPE
from freehold.web.openai_shapes import Request, chunk, completion, usage_of
from freehold.web.problems import as_openai, openai_responses
from freehold.web.state import State
from freehold.web.streams import Listening, put_out
from freehold.web.tail import Item, Watch
from freehold.web.waiting import MAX_SECONDS, rests, until_rest

router = APIRouter(
    prefix="/v1",
    tags=["agents as models"],
    responses=openai_responses(401, 402, 403, 404, 409, 413, 422, 429, 503, 507),
)
PAGE = 500
PAYMENT_REQUIRED = 402


@router.get("/models")
def list_models(caller: TheCaller, state: TheState) -> JSONResponse:
    """Return the agents the caller may talk to, as models."""
    with state.store.read() as platform:
        if caller.may("agents:read"):
            tenants = platform.tenants.page(limit=PAGE)
        else:
            seen = sorted(tenant for tenant in caller.within if caller.may("agents:read", tenant))
            tenants = [platform.tenants.find(tenant) for tenant in seen]
    models: list[dict[str, Any]] = []
    for tenant in tenants:
        if tenant.state is not TenantState.ACTIVE:
            continue  # nobody answers there
        with state.store.tenant(tenant.id, agent=caller.agent).read() as scope:
            models += [
                {
                    "id": f"{tenant.slug}/{agent.name}",
                    "object": "model",
                    "created": int(agent.created_at.timestamp()),
                    "owned_by": tenant.slug,
                }
                for agent in scope.agents.page(limit=PAGE)
            ]
    return JSONResponse({"object": "list", "data": models})


@router.post("/chat/completions", response_model=None)
async def complete(
    caller: TheCaller, state: TheState, body: Request, key: IdempotencyKey = "", traceparent: Traceparent = ""
) -> Response:
    """Let the agent answer the last message."""
    tenant, agent = await in_thread(_agent, state, caller, body.model)
    require_changing(tenant, caller)
    tenancy = state.store.tenant(tenant.id, agent=caller.agent)
    arrival = Arrival(
        agent=agent,
        text=body.text(),
        by=caller.actor,
        origin=Origin.MEMBER,
        sender=body.user,
        conversation=body.conversation(),
        attended=True,
        trace=traceparent,
        place="chat",
        key=key,
    )
    accepted = await arrived(state, tenancy, arrival)
    reach(WEB, "acknowledged")
    listening = state.streams.of(caller, tenant.id)
    if body.stream:
        pieces = _streamed(state, listening, tenancy, accepted.run, body)
        return StreamingResponse(pieces, media_type=MEDIA_TYPE, headers=HEADERS)
    await until_rest(listening, tenancy, accepted.run.id, MAX_SECONDS)
    run = await in_thread(_get, tenancy, accepted.run.id)
    text = _text(run)
    told = {"conversation": run.conversation, "run": run.id}
    usage = await _usage(state, tenancy, run)
    return JSONResponse(completion(_name(run), _created(run), body.model, text, usage, freehold=told))


async def _streamed(
    state: State, listening: Listening, tenancy: Tenancy, run: Run, body: Request
) -> AsyncIterator[str]:
    """Give the answer in pieces as the model says it, then what of it was not said yet."""
    name, created = _name(run), _created(run)

    def spelt(text: str) -> str:
        return _data(chunk(name, created, body.model, {"content": text}))

    yield _data(chunk(name, created, body.model, {"role": "assistant", "content": ""}))
    said = Said()
    async with listening.watch(run.id) as watch:
        async for piece in _pieces(watch, tenancy, run.id, said):
            yield spelt(piece) if piece else ": still here\n\n"
    run = await in_thread(_get, tenancy, run.id)
    try:
        if watch.revoked:
            raise put_out()
        rest = said.left_of(_text(run))
    except FreeholdError as error:
        yield _data(as_openai(error))
        yield "data: [DONE]\n\n"
        return
    if rest:
        yield spelt(rest)
    yield _data(chunk(name, created, body.model, {}, finish="stop"))
    if body.stream_options is not None and body.stream_options.include_usage:
        last = chunk(name, created, body.model, {})
        yield _data(last | {"choices": [], "usage": await _usage(state, tenancy, run)})
    yield "data: [DONE]\n\n"


class Said:
    """What a stream has said so far, so that a repeated step is not said twice."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._all = ""
        self._of_step: dict[str, int] = {}
        self._again: dict[str, int] = {}

    def hear(self, piece: Item) -> str:
        """Return what of a live piece was not said before; after a reset its step begins again."""
        key, text = str(piece.get("key")), str(piece.get("text", ""))
        if piece["live"] == "reset":
            self._again[key] = 0
            return ""
        before, at = self._of_step.get(key, 0), self._again.get(key, self._of_step.get(key, 0))
        fresh = text[max(before - at, 0) :]
        if fresh and self._all and not before:
            fresh = "\n\n" + fresh
        self._again[key] = at + len(text)
        self._of_step[key] = max(before, at + len(text))
        self._all += fresh
        return fresh

    def left_of(self, answer: str) -> str:
        """Return what of the recorded answer is still to be said."""
        if not self._all or self._all.endswith(answer):
            return "" if self._all else answer
        common = next((n for n in range(len(answer), 0, -1) if self._all.endswith(answer[:n])), 0)
        return answer[common:] if common else "\n\n" + answer


async def _pieces(watch: Watch, tenancy: Tenancy, run: str, said: Said) -> AsyncIterator[str]:
    """Give pieces of text until the run rests; an empty one now and then keeps the line open."""
    item: Item | None = {"type": "run."}
    while not watch.over:
        if item is None:
            yield ""
        elif "live" in item:
            if fresh := said.hear(item):
                yield fresh
        elif str(item["type"]).startswith("run.") and rests(await in_thread(_get, tenancy, run)):
            return
        item = await watch.next(KEEP_ALIVE)


def _agent(state: State, caller: Caller, model: str) -> tuple[Tenant, str]:
    """Return tenant and agent that `TENANT/AGENT` names; what is foreign is as missing as what is not there."""
    slug, _, name = model.partition("/")
    missing = NotFound(f"There is no model {model[:160]!r}.", code="model_not_found", remedy="See GET /v1/models.")
    try:
        with state.store.read() as platform:
            tenant = platform.tenants.find(slug)
        if not caller.may("messages:write", tenant.id):
            raise missing
        state.rates.work(caller, tenant.id)
        with state.store.tenant(tenant.id, agent=caller.agent).read() as scope:
            return tenant, scope.agents.find(name).id
    except NotFound:
        raise missing from None


def _text(run: Run) -> str:
    """
    Return what a run that rests is told as; raise where it has no answer.

    With a status that clients do not try again by themselves: every try would be another message.
    """
    if run.state is RunState.DONE:
        return run.output or ""
    if run.state in {RunState.WAITING, RunState.PAUSED} and rests(run):
        return f"I need an approval before I can go on. Run {run.id} continues once somebody has decided."
    if run.state is RunState.CANCELLED:
        raise Invalid("The run was cancelled.", code="cancelled", remedy="Send the message again.")
    if run.error is not None:
        code, remedy = run.error["code"], run.error.get("remedy", "")
        if code in PAYMENT:
            raise Exhausted(run.error["message"], code=code, remedy=remedy, status=PAYMENT_REQUIRED)
        raise Invalid(run.error["message"], code=code, remedy=remedy)
    raise Invalid("The run is still under way.", code="still_running", remedy=f"Ask for run {run.id} later.")


async def _usage(state: State, tenancy: Tenancy, run: Run) -> dict[str, int]:
    try:
        return usage_of((await state.gateway.usage(tenancy.tenant, run=run.id))["total"])
    except FreeholdError:
        return usage_of({})  # the answer matters more than its count, which the platform keeps in any case


def _get(tenancy: Tenancy, run: str) -> Run:
    with tenancy.read() as scope:
        return scope.runs.get(run)


def _name(run: Run) -> str:
    return f"chatcmpl-{run.id}"


def _created(run: Run) -> int:
    return int(run.created_at.timestamp())


def _data(value: object) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"
