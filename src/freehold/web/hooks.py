"""Hooks: what channels deliver. No key, but a signature, which the gateway verifies over the raw bytes."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse

from freehold.core.errors import Invalid, NotFound
from freehold.core.parts import Origin
from freehold.failpoints import reach
from freehold.ingress.accepting import Arrival
from freehold.store.threads import in_thread
from freehold.tenants.activity import is_active
from freehold.web.access import TheState
from freehold.web.arriving import WEB, arrived
from freehold.web.state import State
from freehold.web.views import written

router = APIRouter(tags=["hooks"])
ACCEPTED = 202


@router.post("/hooks/{channel}", status_code=ACCEPTED)
async def deliver(
    request: Request, state: TheState, channel: Annotated[str, Path(description="Id of the channel.", max_length=80)]
) -> JSONResponse:
    """Take a delivery in; the same `webhook-id` again is the same message and gets the same answer."""
    body = await request.body()
    tenant, found = await in_thread(_find, state, channel)
    driver = state.channels[found["kind"]]
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower().startswith("webhook-")}
    await state.gateway.verify_webhook(tenant, found["config"]["secret"], headers, body)
    key = driver.key(headers)
    inbound = driver.read(_json(body))
    if inbound is None:
        return JSONResponse({"message": None}, status_code=ACCEPTED)
    arrival = Arrival(
        agent=found["agent"],
        text=inbound.text,
        by=f"channel:{found['id']}",
        origin=Origin.CHANNEL,
        sender=inbound.sender,
        channel=found["id"],
        thread=inbound.thread,
        trace=request.headers.get("traceparent", ""),
        place=f"hooks/{found['id']}",
        key=key,
    )
    accepted = await arrived(state, state.store.tenant(tenant), arrival, inbound.attachments)
    message = accepted.message
    shown = {"message": {"id": message.id, "conversation": message.conversation}, "run": {"id": message.run}}
    reach(WEB, "acknowledged")
    return JSONResponse(shown, status_code=ACCEPTED)


def _find(state: State, channel: str) -> tuple[str, dict[str, Any]]:
    with state.store.read() as platform:
        tenant = platform.tenant_of_channel(channel)
        active = tenant is not None and is_active(platform.connection, tenant)
    if tenant is None or not active:
        raise NotFound("There is no such channel.")  # a tenant that stands still is closed to the world
    with state.store.tenant(tenant).read() as scope:
        return tenant, scope.channels.get(channel)


def _json(body: bytes) -> Any:
    try:
        return written(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise Invalid("The body is not JSON.", code="invalid_json", remedy="Send a JSON object in UTF-8.") from error
