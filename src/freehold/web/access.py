"""
What a caller may touch: the scope a route needs stands in its description, and is looked up there.

A tenant that is not the caller's answers like one that does not exist. A route that names no scope lets
nobody in.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Path, Request

from freehold.core.errors import Denied, NotFound
from freehold.core.tenants import Caller, Tenant
from freehold.store.scope import Tenancy
from freehold.web.state import State

SCHEME: Final = "key"
X_SCOPE: Final = "x-scope"
NOBODY: Final = "none"
"""The scope of what everybody may ask: health, and hooks, which are signed."""


def needs(scope: str) -> dict[str, Any]:
    """Return what a route says about itself: the scope a key must have."""
    return {X_SCOPE: scope, "security": [{SCHEME: []}]}


def needs_no_key() -> dict[str, Any]:
    """Return what a route says about itself that is for everybody."""
    return {X_SCOPE: NOBODY, "security": []}


async def the_state(request: Request) -> State:  # async: a thread would cost more than the look
    """Return what the routes work with."""
    found = request.app.state.freehold
    if not isinstance(found, State):
        raise TypeError("The application was built without its state.")
    return found


async def the_caller(request: Request) -> Caller:
    """Return who asks, if their key has the scope that the route needs."""
    caller = request.state.caller
    if not isinstance(caller, Caller):
        raise TypeError("The gate lets nobody through without knowing them.")
    _check(request, caller)
    return caller


async def operating(caller: Annotated[Caller, Depends(the_caller)]) -> Caller:
    """Return who asks, if they may work for the whole platform."""
    if caller.tenant is not None:
        raise Denied("This is for the platform's operators.", code="not_operator", remedy="Use an operator's key.")
    return caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """A request within one tenant that its caller may touch."""

    caller: Caller
    tenant: Tenant
    tenancy: Tenancy
    state: State


def here(
    request: Request,
    state: Annotated[State, Depends(the_state)],
    tenant: Annotated[str, Path(description="Slug or id of the tenant.", max_length=80)],
) -> Here:
    """Return the tenant of the address; one that is foreign is as missing as one that is not there."""
    caller = request.state.caller
    with state.store.read() as platform:
        found = platform.tenants.find(tenant)
    if caller.tenant not in {None, found.id}:
        raise NotFound("There is no such tenant.", remedy="`freehold tenant list` shows those you may see.")
    _check(request, caller)
    return Here(caller=caller, tenant=found, tenancy=state.store.tenant(found.id), state=state)


TheState = Annotated[State, Depends(the_state)]
TheCaller = Annotated[Caller, Depends(the_caller)]
Operator = Annotated[Caller, Depends(operating)]
InTenant = Annotated[Here, Depends(here)]
IdempotencyKey = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]
"""A request with the same key and body is answered as the first was."""


def _check(request: Request, caller: Caller) -> None:
    extra = getattr(request.scope.get("route"), "openapi_extra", None) or {}
    scope = extra.get(X_SCOPE)
    if scope is None or not caller.may(scope):
        raise Denied(
            f"This needs a key with the scope {scope}.",
            code="missing_scope",
            remedy="Ask an operator for a key that has it.",
        )
