"""Channels: where people talk to an agent."""

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from freehold.audit.canonical import fingerprint
from freehold.audit.database import note
from freehold.core.errors import Conflict, Invalid, NotFound
from freehold.core.quotas import Quota
from freehold.ingress.channel import ChannelDriver
from freehold.store.threads import in_thread
from freehold.tenants.names import LONGEST
from freehold.tenants.quotas import admit
from freehold.web.access import Here, IdempotencyKey, InTenant
from freehold.web.connections import NewConnection, made_connection
from freehold.web.once import once
from freehold.web.views import Asked, Listed, Moment

router = APIRouter(prefix="/tenants/{tenant}/channels", tags=["channels"])

ChannelId = Annotated[str, Path(description="Name or id of the channel.", max_length=LONGEST)]


class NewChannel(Asked):
    """A channel to create."""

    kind: str
    name: str
    agent: str
    secret: str = ""
    """Name of the secret that signs what comes in and goes out."""
    reply_url: str = ""
    """Where answers are sent."""


class ChannelView(BaseModel):
    """A channel."""

    id: str
    kind: str
    name: str
    agent: str
    secret: str
    reply_url: str
    path: str
    """Where its messages are sent to, on this platform's address."""
    created_at: Moment

    @classmethod
    def of(cls, channel: dict[str, Any]) -> "ChannelView":
        """Show `channel`."""
        names = ("id", "kind", "name", "agent", "created_at")
        config = channel["config"]
        return cls(
            **{name: channel[name] for name in names},
            secret=config["secret"],
            reply_url=config["reply_url"],
            path=f"/hooks/{channel['id']}",
        )


@router.post("", status_code=201)
async def create_channel(at: InTenant, body: NewChannel, key: IdempotencyKey = "") -> ChannelView:
    """Create a channel to an agent, with the connection that its answers leave by."""

    async def make() -> str:
        return await _make(at, body, repeat=bool(key))

    made = await once(at.state, at.tenant.id, "channels", key, body.plain(), make)
    return await in_thread(_get, at, made)


@router.get("")
def list_channels(at: InTenant) -> Listed[ChannelView]:
    """Return the tenant's channels."""
    with at.tenancy.read() as scope:
        return Listed(items=[ChannelView.of(channel) for channel in scope.channels.all()])


@router.get("/{channel}")
def show_channel(at: InTenant, channel: ChannelId) -> ChannelView:
    """Return one channel."""
    return _get(at, channel)


@router.delete("/{channel}", status_code=204)
async def delete_channel(at: InTenant, channel: ChannelId) -> Response:
    """Close the channel: nothing more comes in by it, and answers that still wait are not sent."""
    removed = await in_thread(_remove, at, channel)
    _, name, _ = _driver(at, removed["kind"]).connection(removed)
    with suppress(NotFound):  # somebody deleted it before: the wish has come true
        await at.state.gateway.delete_connection(at.tenant.id, name, by=at.caller.actor)
    return Response(status_code=204)


async def _make(at: Here, body: NewChannel, *, repeat: bool) -> str:
    driver = _driver(at, body.kind)
    config = driver.check({"secret": body.secret, "reply_url": body.reply_url})
    agent = await in_thread(_fits, at, body)
    known = {secret["name"] for secret in await at.state.gateway.list_secrets(at.tenant.id)}
    if config["secret"] not in known:
        raise Invalid(
            f"There is no secret {config['secret'][:80]!r}.",
            code="missing_secret",
            remedy="Set it with `freehold secret set`, then create the channel.",
        )
    channel = {
        "id": at.state.ids("chn"),
        "agent": agent,
        "kind": body.kind,
        "name": body.name,
        "config": config,
        "created_at": at.state.clock.now(),
    }
    kind, name, settings = driver.connection(channel)
    way = NewConnection(kind=kind, name=name, config=settings, secret=config["secret"])
    # No channel has this name, so a connection just like it is one whose channel was never written down.
    await made_connection(at.state.gateway, at.tenant.id, way, by=at.caller.actor, repeat=True)
    await in_thread(_add, at, channel)
    return str(channel["id"])


def _driver(at: Here, kind: str) -> ChannelDriver:
    found = at.state.channels.get(kind)
    if found is None:
        raise Invalid(
            f"There is no kind of channel {kind[:80]!r}.",
            code="unknown_kind",
            remedy=f"Use one of {', '.join(sorted(at.state.channels))}.",
        )
    return found


def _fits(at: Here, body: NewChannel) -> str:
    """Return the id of the agent; raise where there is none, where the name is taken or the quota used up."""
    with at.tenancy.read() as scope:
        if any(known["name"] == body.name for known in scope.channels.all()):
            raise Conflict(
                f"There is a channel {body.name!r} already.", code="name_taken", remedy="Choose another name."
            )
        admit(scope.connection, scope.tenant, Quota.CHANNELS, at=at.state.clock.now())
        return scope.agents.find(body.agent).id


def _add(at: Here, channel: dict[str, Any]) -> None:
    with at.tenancy.write() as scope:
        admit(scope.connection, scope.tenant, Quota.CHANNELS, at=at.state.clock.now())
        scope.channels.add(channel)
        note(
            scope.connection,
            at=channel["created_at"],
            tenant=at.tenant.id,
            actor=at.caller.actor,
            action="channel.create",
            subject=channel["id"],
            detail={"kind": channel["kind"], "name": channel["name"], "agent": channel["agent"]},
            after=fingerprint(channel),
        )


def _remove(at: Here, name: str) -> dict[str, Any]:
    with at.tenancy.write() as scope:
        channel = scope.channels.get(name)
        scope.channels.remove(channel["id"])
        note(
            scope.connection,
            at=at.state.clock.now(),
            tenant=at.tenant.id,
            actor=at.caller.actor,
            action="channel.delete",
            subject=channel["id"],
            before=fingerprint(channel),
        )
        return channel


def _get(at: Here, channel: str) -> ChannelView:
    with at.tenancy.read() as scope:
        return ChannelView.of(scope.channels.get(channel))
