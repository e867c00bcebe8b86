"""Accounts outside that somebody signs in to, so that a connection may use them: in a browser, or with a device's code."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel

from freehold.core.tenants import Caller
from freehold.web.abroad import AccountHeldView, asks_of
from freehold.web.access import InTenant, Operator, TheState
from freehold.web.connect_links import LASTING, PAGE, Link, written
from freehold.web.connections import ConnectionName
from freehold.web.state import State
from freehold.web.views import Moment, told_moment

router = APIRouter(tags=["connections"])

SignInId = Annotated[str, Path(description="Id of the sign-in, as it was begun.", max_length=80)]


class LinkView(BaseModel):
    """Where somebody signs in, in a browser."""

    id: str
    page: str
    """For whoever may change the connection: it says what is asked for, and leads on to the provider."""
    expires_at: Moment


class DisconnectedView(BaseModel):
    """What became of an account; in any case we hold nothing of it any more."""

    revoked: bool
    """Whether the provider took back what it had given us; else it knows nothing of this, or was away."""


class DeviceView(BaseModel):
    """A code to type in at the provider's, on any screen."""

    id: str
    user_code: str
    uri: str
    """Where to type it in."""
    uri_complete: str = ""
    """The same with the code in it, where the provider has one."""
    interval: float
    """Seconds between two questions whether it is done."""
    expires_at: str


class DeviceStateView(BaseModel):
    """How it stands with a code."""

    state: Literal["waiting", "connected", "denied", "failed", "expired"]
    account: str = ""
    interval: float | None = None
    """Where the provider wants to be asked less often from now on."""


@router.post("/tenants/{tenant}/connections/{name}/sign-in", status_code=201)
async def begin_sign_in(at: InTenant, name: ConnectionName) -> LinkView:
    """Make a link to the page where an account is connected; nothing is begun until somebody follows it there."""
    return await _link(at.state, at.tenant.id, name, at.caller)


@router.get("/tenants/{tenant}/connections/{name}/sign-in")
async def show_sign_in(at: InTenant, name: ConnectionName) -> AccountHeldView:
    """Return which account the connection uses."""
    return await _held(at.state, at.tenant.id, name)


@router.delete("/tenants/{tenant}/connections/{name}/sign-in")
async def disconnect(at: InTenant, name: ConnectionName) -> DisconnectedView:
    """Give the account up: what opens it is forgotten here, and taken back at the provider where that is possible."""
    return await _given_up(at.state, at.tenant.id, name, at.caller)


@router.post("/tenants/{tenant}/connections/{name}/sign-in/device", status_code=201)
async def begin_device_sign_in(at: InTenant, name: ConnectionName) -> DeviceView:
    """Get a code that somebody types in at the provider's."""
    return await _device(at.state, at.tenant.id, name, at.caller)


@router.post("/tenants/{tenant}/connections/{name}/sign-in/device/{sign_in}")
async def ask_about_device_sign_in(at: InTenant, name: ConnectionName, sign_in: SignInId) -> DeviceStateView:
    """Ask whether the code was typed in; the account is connected by the question that finds so."""
    return await _polled(at.state, at.tenant.id, name, sign_in, at.caller)


@router.post("/connections/{name}/sign-in", status_code=201)
async def begin_platform_sign_in(caller: Operator, state: TheState, name: ConnectionName) -> LinkView:
    """Make a link to the page where an account is connected for a connection of the platform's."""
    return await _link(state, None, name, caller)


@router.get("/connections/{name}/sign-in")
async def show_platform_sign_in(caller: Operator, state: TheState, name: ConnectionName) -> AccountHeldView:
    """Return which account a connection of the platform's uses."""
    return await _held(state, None, name)


@router.delete("/connections/{name}/sign-in")
async def disconnect_platform(caller: Operator, state: TheState, name: ConnectionName) -> DisconnectedView:
    """Give up the account of a connection of the platform's."""
    return await _given_up(state, None, name, caller)


@router.post("/connections/{name}/sign-in/device", status_code=201)
async def begin_platform_device_sign_in(caller: Operator, state: TheState, name: ConnectionName) -> DeviceView:
    """Get a code that somebody types in at the provider's, for a connection of the platform's."""
    return await _device(state, None, name, caller)


@router.post("/connections/{name}/sign-in/device/{sign_in}")
async def ask_about_platform_device_sign_in(
    caller: Operator, state: TheState, name: ConnectionName, sign_in: SignInId
) -> DeviceStateView:
    """Ask whether the code for a connection of the platform's was typed in."""
    return await _polled(state, None, name, sign_in, caller)


def address_of(state: State, tenant: str | None, name: str, *, by: str, lasting: timedelta = LASTING) -> str:
    """Return the address of the page where somebody signs in to the connection `name`."""
    link = Link(tenant=tenant or "", connection=name, by=by, until=state.clock.now() + lasting)
    return state.settings.base_url + PAGE + written(link, seal=state.seal)


async def _link(state: State, tenant: str | None, name: str, caller: Caller) -> LinkView:
    await asks_of(state, tenant, name)
    link = Link(tenant=tenant or "", connection=name, by=caller.actor, until=state.clock.now() + LASTING)
    text = written(link, seal=state.seal)
    return LinkView(id=text, page=state.settings.base_url + PAGE + text, expires_at=link.until)


async def _held(state: State, tenant: str | None, name: str) -> AccountHeldView:
    await asks_of(state, tenant, name)
    return AccountHeldView.of(await state.gateway.sign_in_state(tenant, name))


async def _given_up(state: State, tenant: str | None, name: str, caller: Caller) -> DisconnectedView:
    await asks_of(state, tenant, name)
    return DisconnectedView(**await state.gateway.disconnect(tenant, name, by=caller.actor))


async def _device(state: State, tenant: str | None, name: str, caller: Caller) -> DeviceView:
    await asks_of(state, tenant, name)
    told = await state.gateway.start_device(tenant, name, by=caller.actor)
    return DeviceView(**told | {"expires_at": told_moment(told["expires_at"])})


async def _polled(state: State, tenant: str | None, name: str, sign_in: str, caller: Caller) -> DeviceStateView:
    await asks_of(state, tenant, name)
    return DeviceStateView(**await state.gateway.poll_device(tenant, sign_in, by=caller.actor))
