"""Health: whether web, worker and gateway answer; the one address of the API that needs no key."""

from datetime import timedelta

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse

from freehold.core.errors import FreeholdError
from freehold.store.threads import in_thread
from freehold.web.access import TheState
from freehold.web.state import State

router = APIRouter(tags=["health"])
AWAY = 503


class Health(BaseModel):
    """Who answers."""

    ok: bool
    web: bool
    worker: bool
    gateway: bool


@router.get("/healthz", response_model=Health, responses={AWAY: {"model": Health}})
async def healthz(state: TheState) -> JSONResponse:
    """Return who answers; 503 when somebody is away."""
    web, worker = await in_thread(_database, state)
    gateway = await _gateway(state)
    health = Health(ok=web and worker and gateway, web=web, worker=worker, gateway=gateway)
    return JSONResponse(health.model_dump(), status_code=200 if health.ok else AWAY)


def _database(state: State) -> tuple[bool, bool]:
    try:
        with state.store.read() as platform:
            sign = platform.workers.newest_sign()
    except FreeholdError:
        return False, False
    return True, sign is not None and state.clock.now() - sign < timedelta(seconds=state.settings.lease)


async def _gateway(state: State) -> bool:
    try:
        return bool((await state.gateway.health()).get("ok"))
    except FreeholdError:
        return False
