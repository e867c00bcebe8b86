"""
What a caller may touch: the scope a route needs stands in the matrix (`core.access`), and is looked up there.

A tenant that the caller is nothing to answers like one that does not exist. A route that the matrix does not name
lets nobody in.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.routing import APIRoute

from freehold.core.access import API, EVERYBODY, ROUTES
from freehold.core.errors import Denied, NotFound
from freehold.core.tenants import Caller, Tenant, TenantState
from freehold.store.scope import Tenancy
from freehold.tenants.activity import not_active
from freehold.web.state import State
from freehold.web.streams import Listening

KEY: Final = "key"
SESSION: Final = "session"
X_SCOPE: Final = "x-scope"
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OPERATING: Final = "platform:write"
"""What whoever may act in a suspended tenant holds."""
LIFE: Final = frozenset(f"/tenants/{{tenant}}/{act}" for act in ("deploy", "suspend", "resume", "restore", "purge"))
"""Routes that move a tenant from state to state: what they may, its state table says."""


def scoped(router: APIRouter, prefix: str = "") -> APIRouter:
    """
    Return `router`, each of its routes told the scope it needs at its place behind `prefix`.

    Raises `LookupError` for a route that the matrix does not name: nothing is served that nobody thought about.
    """
    for route in router.routes:
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                scope = ROUTES.get((method, prefix + route.path))
                if scope is None:
                    raise LookupError(f"core.access names no scope for {method} {prefix + route.path}.")
                route.openapi_extra = (route.openapi_extra or {}) | _told(scope)
    return router


def _told(scope: str) -> dict[str, Any]:
    names = () if scope == EVERYBODY else (SESSION,) if scope.startswith("self:") else (KEY, SESSION)
    return {X_SCOPE: scope, "security": [{name: []} for name in names]}


async def the_state(request: Request) -> State:  # async: a thread would cost more than the look
    """Return what the routes work with."""
    found = request.app.state.freehold
    if not isinstance(found, State):
        raise TypeError("The application was built without its state.")
    return found


async def the_caller(request: Request) -> Caller:
    """Return who asks, if they have the scope that the route needs: over the platform, or in some tenant of theirs."""
    caller = _caller(request)
    scope = _scope(request)
    if not caller.may_somewhere(scope):
        raise _lacking(scope)
    return caller


async def operating(request: Request) -> Caller:
    """Return who asks, if they have the scope that the route needs over the whole platform."""
    caller = _caller(request)
    scope = _scope(request)
    if not caller.may(scope):
        raise _lacking(scope)
    return caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """A request within one tenant that its caller may touch."""

    caller: Caller
    tenant: Tenant
    tenancy: Tenancy
    state: State

    @property
    def tail(self) -> Listening:
        """What happens in runs, for as long as the caller may know."""
        return self.state.streams.of(self.caller, self.tenant.id)


def here(
    request: Request,
    state: Annotated[State, Depends(the_state)],
    tenant: Annotated[str, Path(description="Slug or id of the tenant.", max_length=80)],
) -> Here:
    """Return the tenant of the address; one that is foreign is as missing as one that is not there."""
    caller = _caller(request)
    with state.store.read() as platform:
        found = platform.tenants.find(tenant)
    if not caller.sees(found.id):
        raise NotFound("There is no such tenant.", remedy="`freehold tenant list` shows those you may see.")
    state.rates.work(caller, found.id)
    scope = _scope(request)
    if not caller.may(scope, found.id):
        raise _lacking(scope)
    if not _reads_or_lives(request):
        require_changing(found, caller)
    tenancy = state.store.tenant(found.id, agent=caller.agent)
    return Here(caller=caller, tenant=found, tenancy=tenancy, state=state)


TheState = Annotated[State, Depends(the_state)]
TheCaller = Annotated[Caller, Depends(the_caller)]
Operator = Annotated[Caller, Depends(operating)]
InTenant = Annotated[Here, Depends(here)]
IdempotencyKey = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]
"""A request with the same key and body is answered as the first was."""


def require_changing(tenant: Tenant, caller: Caller) -> None:
    """
    Return if the caller may change something in the tenant as it stands; reading goes on in any case.

    Raises `Denied` (`tenant_suspended`) where it is suspended, which an operator may put right, and `Conflict`
    (`tenant_not_active`) where it is deleted.
    """
    if tenant.state is TenantState.DELETED:
        raise not_active(tenant.state)
    if tenant.state is TenantState.SUSPENDED and not caller.may(OPERATING):
        raise Denied(
            "The tenant is suspended: it can be read, and nothing in it changes.",
            code="tenant_suspended",
            remedy="Ask the platform's operator to resume it; all is kept.",
        )


def _reads_or_lives(request: Request) -> bool:
    route = str(getattr(request.scope.get("route"), "path", "")).removeprefix(API)
    return request.method in READING or route in LIFE


def _caller(request: Request) -> Caller:
    caller = request.state.caller
    if not isinstance(caller, Caller):
        raise TypeError("The gate lets nobody through without knowing them.")
    return caller


def _scope(request: Request) -> str:
    extra = getattr(request.scope.get("route"), "openapi_extra", None) or {}
    scope = extra.get(X_SCOPE)
    if not isinstance(scope, str):
        raise Denied("Nobody may do this.", code="missing_scope", remedy="See /api/openapi.json for what there is.")
    return scope


def _lacking(scope: str) -> Denied:
    if scope.startswith("self:"):
        return Denied(
            "This is for people who signed in; a key is nobody.",
            code="not_a_person",
            remedy="Sign in, and send the session's cookie instead of a key.",
        )
    return Denied(
        f"This needs the scope {scope}.",
        code="missing_scope",
        remedy="Ask for a role or a key that has it.",
    )
