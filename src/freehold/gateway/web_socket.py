"""What web may ask: secrets, connections, grants, decisions, usage, the record. It calls no model and no tool."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.core.effects import Verdict
from freehold.core.errors import Invalid
from freehold.gateway import connections, deciding, publishing, secrets
from freehold.gateway import requests as asked
from freehold.gateway.calls.routing import Ways
from freehold.gateway.connections import Drivers
from freehold.gateway.edge import Answer, Edge, Say, route
from freehold.gateway.effects import Effects
from freehold.gateway.grants import Grants
from freehold.gateway.identity import SignOn
from freehold.gateway.keeping import Keep
from freehold.gateway.money_socket import Money
from freehold.gateway.outward import destinations
from freehold.gateway.packages import loaded
from freehold.gateway.placing import SecondPlace
from freehold.gateway.ports import Credential
from freehold.gateway.record_socket import record_routes
from freehold.gateway.rotations import Rotations
from freehold.gateway.seeking import SeekRequest, seek
from freehold.gateway.sign_in_socket import SignIns
from freehold.gateway.switch_socket import Switches
from freehold.gateway.tool_socket import tool_routes

CHANGING: Final = frozenset(
    {
        "secrets/set",
        "secrets/delete",
        "connections/create",
        "connections/delete",
        "destinations/allow",
        "destinations/remove",
        "tenants/erase",
    }
)
"""What changes how calls find their way: whatever was remembered about that is void afterwards."""
VerifyWebhook = Callable[[Credential, dict[str, str], bytes], None]
"""Raises `Denied` unless a webhook (headers and body) is signed with the secret, and fresh."""


@final
class _Web:
    """Answers of the web socket, one method per route."""

    def __init__(
        self, keep: Keep, drivers: Drivers, ways: Ways, sign_ins: SignIns, *, rehearsal: bool, mails: bool
    ) -> None:
        self._keep, self._drivers, self._ways, self._rehearsal = keep, drivers, ways, rehearsal
        self._sign_ins, self._mails = sign_ins, mails

    async def set_secret(self, request: asked.SecretRequest) -> None:
        named: dict[str, Any] = {"tenant": request.tenant, "name": request.name, "by": request.by}
        await self._keep.write(lambda tx: secrets.put(tx, self._keep, value=request.value, **named))
        self._keep.changed()

    async def delete_secret(self, request: asked.SecretRequest) -> None:
        named: dict[str, Any] = {"tenant": request.tenant, "name": request.name, "by": request.by}
        await self._keep.write(lambda tx: secrets.remove(tx, self._keep, **named))
        self._keep.changed()

    async def create_connection(self, request: asked.ConnectionRequest) -> dict[str, Any]:
        made = await self._keep.write(
            lambda tx: connections.create(
                tx,
                self._keep,
                self._drivers,
                tenant=request.tenant,
                kind=request.kind,
                name=request.name,
                config=request.config,
                secret=request.secret,
                by=request.by,
            )
        )
        self._keep.changed()
        return made

    async def delete_connection(self, request: asked.ConnectionRequest) -> None:
        named: dict[str, Any] = {"tenant": request.tenant, "name": request.name, "by": request.by}
        await self._sign_ins.let_go(request.tenant, request.name, by=request.by)
        await self._keep.write(lambda tx: connections.remove(tx, self._keep, **named))
        self._keep.changed()

    async def allow_destination(self, request: asked.DestinationRequest) -> dict[str, Any]:
        named: dict[str, Any] = {"tenant": request.tenant, "name": request.name, "by": request.by}
        return await self._keep.write(lambda tx: destinations.allow(tx, self._keep, place=request.place, **named))

    async def remove_destination(self, request: asked.DestinationRequest) -> None:
        named: dict[str, Any] = {"tenant": request.tenant, "name": request.name, "by": request.by}
        await self._keep.write(lambda tx: destinations.remove(tx, self._keep, **named))

    async def publish(self, request: asked.PublishRequest) -> None:
        grants = Grants(
            tenant=request.tenant,
            agent=request.agent,
            version=request.version,
            model=request.model,
            tools={tool: _verdict(verdict) for tool, verdict in request.tools.items()},
            pins=request.pins,
            egress=tuple(request.egress),
        )
        await self._keep.write(
            lambda tx: publishing.publish(
                tx, self._keep, self._drivers, grants=grants, rehearsal=self._rehearsal, by=request.by
            )
        )
        await self._ways.find(request.tenant, request.model)  # so that the first call need not look anything up

    async def seek(self, request: SeekRequest) -> dict[str, Any]:
        return await self._keep.write(lambda tx: seek(tx, self._keep, request))

    async def packages(self, _request: asked.Nothing) -> list[dict[str, Any]]:
        return await self._keep.aside(loaded)

    async def health(self, _request: asked.Nothing) -> dict[str, Any]:
        await self._keep.read(lambda tx: tx.exec_driver_sql("SELECT 1").scalar())
        return {"ok": True, "mail": self._mails}


def web_edge(
    keep: Keep,
    drivers: Drivers,
    effects: Effects,
    verify_webhook: VerifyWebhook,
    *,
    ways: Ways,
    place: SecondPlace,
    switches: Switches,
    sign_on: SignOn,
    sign_ins: SignIns,
    money: Money,
    rotations: Rotations,
    rehearsal: bool,
    mails: bool = False,
) -> Edge:
    """Return the edge of web's socket; `mails` is whether there is a server that mail goes through."""
    web = _Web(keep, drivers, ways, sign_ins, rehearsal=rehearsal, mails=mails)

    async def verified(request: asked.WebhookRequest) -> None:
        named: dict[str, Any] = {"tenant": request.tenant, "name": request.secret}
        credential = await keep.read(lambda tx: secrets.opened(tx, keep, **named))
        verify_webhook(credential, request.headers, request.body)

    async def decide(request: asked.DecideRequest) -> None:
        under_way = effects.under_way(request.tenant, request.key)
        await keep.write(lambda tx: deciding.decide(tx, keep, request, under_way=under_way))

    routes = {
        "secrets/set": route(asked.SecretRequest, web.set_secret),
        "secrets/list": route(asked.TenantRequest, _read(keep, lambda tx, it: secrets.names(tx, tenant=it.tenant))),
        "secrets/delete": route(asked.SecretRequest, web.delete_secret),
        "connections/create": route(asked.ConnectionRequest, web.create_connection),
        "connections/list": route(
            asked.TenantRequest, _read(keep, lambda tx, it: connections.listed(tx, tenant=it.tenant))
        ),
        "connections/delete": route(asked.ConnectionRequest, web.delete_connection),
        "destinations/allow": route(asked.DestinationRequest, web.allow_destination),
        "destinations/list": route(
            asked.TenantRequest, _read(keep, lambda tx, it: destinations.listed(tx, tenant=it.tenant))
        ),
        "destinations/remove": route(asked.DestinationRequest, web.remove_destination),
        "publish": route(asked.PublishRequest, web.publish),
        "decide": route(asked.DecideRequest, decide),
        "webhooks/verify": route(asked.WebhookRequest, verified),
        "mail": route(asked.MailRequest, effects.mail),
        "secrets/seek": route(SeekRequest, web.seek),
        "packages": route(asked.Nothing, web.packages),
        "health": route(asked.Nothing, web.health),
    }
    routes |= tool_routes(keep, drivers, sign_ins.ready)
    routes |= (
        record_routes(keep, place)
        | sign_ins.routes()
        | sign_on.routes()
        | rotations.routes()
        | switches.routes()
        | money.routes()
    )
    return Edge(
        {name: _changing(keep, answer) if name in CHANGING else answer for name, answer in routes.items()},
        effects=frozenset({"mail"}),
        asks=True,
    )


def _changing(keep: Keep, answer: Answer) -> Answer:
    async def changing(body: bytes, say: Say | None) -> Any:
        try:
            return await answer(body, say)
        finally:
            keep.changed()

    return changing


def _read(keep: Keep, do: Callable[[Tx, Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    async def answer(request: Any) -> Any:
        return await keep.read(lambda tx: do(tx, request))

    return answer


def _verdict(word: str) -> Verdict:
    if word not in set(Verdict):
        raise Invalid(
            f"{word[:40]!r} is no verdict.", code="bad_verdict", remedy=f"Use one of {', '.join(sorted(Verdict))}."
        )
    return Verdict(word)
