"""What web may ask about accounts that connections are signed in to. The worker's socket knows nothing of them."""

from datetime import datetime, timedelta
from typing import Any, Final, final

import msgspec
from sqlalchemy import Connection as Tx
from sqlalchemy import select, update

from freehold.audit.recording import PLATFORM
from freehold.core.errors import Invalid
from freehold.gateway import connections, tokens
from freehold.gateway.connection_tables import TokenState
from freehold.gateway.connection_tables import tokens as token_table
from freehold.gateway.connections import Drivers
from freehold.gateway.edge import Answer, route
from freehold.gateway.keeping import Keep
from freehold.gateway.oauth import Terms, terms_of
from freehold.gateway.requests import Nothing, TenantRequest
from freehold.gateway.sign_in import begun
from freehold.gateway.sign_in.accounts import Accounts
from freehold.gateway.sign_in.asking import Asking
from freehold.gateway.sign_in.devices import Devices
from freehold.gateway.sign_in.exchanging import Exchange
from freehold.gateway.sign_in.flows import Arrival, Flows
from freehold.gateway.tokens import Account

SOON: Final = timedelta(days=3)
"""How long before the end of an account people are told, where nothing but they can prolong it."""
MOST_WARNINGS: Final = 500


class ConnectionNamed(TenantRequest, kw_only=True):
    """One connection."""

    connection: str


class StartRequest(ConnectionNamed, kw_only=True):
    """Somebody wants to sign a connection in."""

    by: str
    redirect_uri: str


class DeviceRequest(ConnectionNamed, kw_only=True):
    """Somebody wants to do so on another device, or no longer wants to be signed in."""

    by: str


class FinishRequest(msgspec.Struct, kw_only=True):
    """Somebody came back from a provider."""

    state: str
    by: str
    code: str | None = None
    error: str | None = None
    issuer: str | None = None


class ShowRequest(msgspec.Struct, kw_only=True):
    """One sign-in."""

    id: str


class PollRequest(TenantRequest, kw_only=True):
    """One sign-in on another device."""

    id: str
    by: str


class AckRequest(msgspec.Struct, kw_only=True):
    """Warnings that people were told of."""

    ids: list[str]


@final
class SignIns:
    """Answers about accounts, one method per route."""

    def __init__(self, keep: Keep, drivers: Drivers, asking: Asking, accounts: Accounts) -> None:
        """Answer from `keep`; providers are asked by `asking`, `accounts` looks after what people brought from them."""
        self._keep, self._accounts = keep, accounts
        self._exchange = Exchange(keep, drivers, asking)
        self._flows, self._devices = Flows(keep, self._exchange), Devices(keep, asking, self._exchange)

    def routes(self) -> dict[str, Answer]:
        """Return what web's socket answers."""
        return {
            "sign-ins/start": route(StartRequest, self._start),
            "sign-ins/finish": route(FinishRequest, self._finish),
            "sign-ins/show": route(ShowRequest, self._show),
            "sign-ins/device": route(DeviceRequest, self._device),
            "sign-ins/poll": route(PollRequest, self._poll),
            "sign-ins/state": route(ConnectionNamed, self._state),
            "sign-ins/states": route(TenantRequest, self._states),
            "sign-ins/disconnect": route(DeviceRequest, self._disconnect),
            "sign-ins/warnings": route(Nothing, self._warnings),
            "sign-ins/acked": route(AckRequest, self._acked),
        }

    async def ready(self, tenant: str, connection: str) -> None:
        """Have the account behind a tenant's connection last for a question, if there is one."""
        await self._accounts.ready(tenant, connection)

    async def let_go(self, tenant: str | None, connection: str, *, by: str) -> None:
        """Forget the account of a connection that is about to be deleted, and tell its provider."""
        await self._accounts.disconnect(tenant or PLATFORM, connection, by=by, why="deleted")

    async def _start(self, request: StartRequest) -> dict[str, Any]:
        named: dict[str, Any] = {"owner": request.tenant or PLATFORM, "connection": request.connection}
        return await self._flows.start(by=request.by, redirect_uri=request.redirect_uri, **named)

    async def _finish(self, request: FinishRequest) -> dict[str, Any]:
        return await self._flows.finish(Arrival(**msgspec.structs.asdict(request)))

    async def _show(self, request: ShowRequest) -> dict[str, Any]:
        def work(tx: Tx) -> dict[str, Any]:
            row = begun.find(tx, request.id)
            if row is None:
                raise begun.unknown()
            return begun.view(row, self._keep.now())

        return await self._keep.read(work)

    async def _device(self, request: DeviceRequest) -> dict[str, Any]:
        owner = request.tenant or PLATFORM
        return await self._devices.start(owner=owner, connection=request.connection, by=request.by)

    async def _poll(self, request: PollRequest) -> dict[str, Any]:
        return await self._devices.poll(owner=request.tenant or PLATFORM, sign_in=request.id, by=request.by)

    async def _state(self, request: ConnectionNamed) -> dict[str, Any]:
        owner = request.tenant or PLATFORM

        def work(tx: Tx) -> dict[str, Any]:
            terms = self._exchange.terms(tx, owner, request.connection)
            found = tokens.find(tx, owner=owner, connection=request.connection)
            return _view(found, request.connection) | {"provider": terms.host}

        return await self._keep.read(work)

    async def _states(self, request: TenantRequest) -> list[dict[str, Any]]:
        owner = request.tenant or PLATFORM

        def work(tx: Tx) -> list[dict[str, Any]]:
            found = {one.connection: one for one in tokens.listed(tx, owner=owner)}
            told = []
            for connection in connections.listed(tx, tenant=request.tenant):
                terms, name = _stated(connection["config"]), connection["name"]
                if terms is not None:
                    told.append(_view(found.get(name), name) | {"provider": terms.host})
            return told

        return await self._keep.read(work)

    async def _disconnect(self, request: DeviceRequest) -> dict[str, Any]:
        owner = request.tenant or PLATFORM
        await self._keep.read(lambda tx: self._exchange.terms(tx, owner, request.connection))
        return {"revoked": await self._accounts.disconnect(owner, request.connection, by=request.by)}

    async def _warnings(self, _request: Nothing) -> list[dict[str, Any]]:
        return [_warning(account) for account in await self._keep.read(self._pending)]

    async def _acked(self, request: AckRequest) -> None:
        def work(tx: Tx) -> None:
            for account in self._pending(tx):
                if _warning(account)["id"] in request.ids:
                    rows = token_table.c
                    which = rows.tenant == account.owner, rows.connection == account.connection
                    tx.execute(update(token_table).where(*which).values(warned_at=self._keep.now()))

        await self._keep.write(work)

    def _pending(self, tx: Tx) -> list[Account]:
        """Return accounts that people must be told of and were not."""
        now, rows = self._keep.now(), token_table.c
        chosen = select(token_table).where(rows.warned_at.is_(None)).order_by(rows.tenant, rows.connection)
        found = [tokens.account_of(row) for row in tx.execute(chosen)]
        return [account for account in found if _worrying(account, now)][:MOST_WARNINGS]


def _stated(config: dict[str, Any]) -> Terms | None:
    """Return how a connection is signed in; also none where that cannot be read any more."""
    try:
        return terms_of(config)
    except Invalid:
        return None


def _worrying(account: Account, now: datetime) -> bool:
    if account.state is TokenState.EXPIRED:
        return True
    if account.refreshable or account.expires_at is None:
        return False
    # Whoever signed in for an hour knows that.
    return account.connected_at + SOON < account.expires_at <= now + SOON


def _view(account: Account | None, connection: str) -> dict[str, Any]:
    if account is None:
        nothing = dict.fromkeys(("account", "expires_at", "connected_by", "connected_at"))
        return {"connection": connection, "state": "none", "scopes": [], "refreshable": False} | nothing
    names = ("state", "account", "expires_at", "refreshable", "connected_by", "connected_at")
    told = {name: getattr(account, name) for name in names}
    return {"connection": connection} | told | {"scopes": list(account.scopes)}


def _warning(account: Account) -> dict[str, Any]:
    what = "expired" if account.state is TokenState.EXPIRED else "expires"
    since = int(account.connected_at.timestamp())
    told = {name: getattr(account, name) for name in ("connection", "account", "expires_at", "connected_by")}
    tenant = None if account.owner == PLATFORM else account.owner
    return told | {"id": f"{account.owner}/{account.connection}/{what}/{since}", "tenant": tenant, "what": what}
