"""The application: the routes behind their gate, and a description of themselves that is true."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from freehold.core.access import API
from freehold.web import (
    accounts,
    agents,
    approvals,
    audit,
    budgets,
    channels,
    chat_completions,
    connection_tools,
    connections,
    destinations,
    health,
    hooks,
    invitations,
    keys,
    levels,
    login,
    me,
    members,
    messages,
    metrics,
    model_keys,
    oidc,
    passkeys,
    people,
    problems,
    queue,
    quotas,
    receipts,
    run_audit,
    run_metrics,
    runs,
    secrets,
    sessions,
    sign_ins,
    switches,
    tenants,
    tiers,
    usage,
    ways,
)
from freehold.web.access import KEY, SESSION, scoped
from freehold.web.gate import Gate
from freehold.web.head import COOKIE
from freehold.web.pages.faults import Faults
from freehold.web.pages.routes import ROUTERS
from freehold.web.state import State

NOUNS = (
    ways, login, sessions, me, passkeys, tenants, receipts, switches, tiers, quotas, queue, agents, run_metrics, runs, run_audit, messages, approvals, secrets,
    connections, connection_tools, sign_ins, destinations, channels, keys, people, members, invitations, usage, budgets,
    accounts, levels, model_keys, audit,
)  # fmt: skip
OUTSIDE = (health, metrics, hooks, chat_completions, oidc)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build(state: State, *, lifespan: Lifespan | None = None) -> FastAPI:
    """Return the application that works with `state`."""
    app = FastAPI(
        title="Freehold",
        version=version("freehold"),
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.freehold = state
    app.router.routes.extend(_routes())
    problems.install(app)
    app.add_middleware(Gate, state=state)
    app.add_middleware(Faults, settings=state.settings)  # in front of the gate, whose refusals people read too
    app.openapi = lambda: _description(app)  # type: ignore[method-assign]
    return app


@cache
def _routes() -> list[BaseRoute]:
    """Return the routes, which know no state: once in a process, for FastAPI looks at each parameter of each of them."""
    every = APIRouter(responses=problems.responses(401, 403, 404, 405, 409, 413, 422, 429, 503, 507))
    api = APIRouter(prefix=API)
    for noun in NOUNS:
        api.include_router(scoped(noun.router, API))
    every.include_router(api)
    for module in OUTSIDE:
        every.include_router(scoped(module.router))
    for router in ROUTERS:
        every.include_router(scoped(router))
    return every.routes


def _description(app: FastAPI) -> dict[str, Any]:
    """Return FastAPI's description with what it cannot know: how keys are sent and how errors look."""
    if app.openapi_schema is None:
        described = FastAPI.openapi(app)
        components = described.setdefault("components", {})
        components["securitySchemes"] = {
            KEY: {"type": "http", "scheme": "bearer", "bearerFormat": "fh_…"},
            SESSION: {"type": "apiKey", "in": "cookie", "name": COOKIE},
        }
        shapes = components.setdefault("schemas", {})
        shapes["Problem"] = problems.Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            shapes.pop(unused, None)
    return app.openapi_schema or {}
