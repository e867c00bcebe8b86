"""
Accounts that connections are signed in to: their tokens are prolonged in time, looked after, and let go of.

A refresh happens once however many calls wait for it. What it brings is on disk before anybody uses it; if we die in
between, the provider may know only the newer refresh token, and says so at the next one: then the account has run out.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from sqlalchemy import Connection as Tx
from sqlalchemy import and_, func, or_, select

from freehold.core.effects import BUDGET, SANDBOX
from freehold.core.errors import FreeholdError, NotFound
from freehold.gateway import connections, secrets, switches, tokens
from freehold.gateway.connection_tables import TokenState
from freehold.gateway.connection_tables import tokens as token_table
from freehold.gateway.connections import Drivers
from freehold.gateway.keeping import Keep
from freehold.gateway.oauth import Terms, terms_of
from freehold.gateway.ports import Credential
from freehold.gateway.sign_in import begun, shaping
from freehold.gateway.sign_in.asking import Asking
from freehold.gateway.tokens import Account, Granted

log = logging.getLogger(__name__)

FRESH: Final = timedelta(minutes=5)
"""How long a token is not doubted."""
STALE: Final = timedelta(days=1)
"""How long one that nobody uses goes without being prolonged: it shows whether the provider still agrees."""
AGAIN: Final = timedelta(hours=6)
"""How long such a one is let alone where that did not work."""
REMEMBERED: Final = 4_096
_NO_CONNECTIONS: Final = frozenset({SANDBOX, BUDGET})
_GONE: Final = frozenset(
    {"invalid_grant", "bad_refresh_token", "invalid_refresh_token", "token_revoked", "token_expired"}
)
"""What providers say of a refresh token that is good for nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """An account that calls go by."""

    owner: str
    until: datetime
    """When it has to be prolonged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refresh:
    """A refresh that was written down and is to be asked for."""

    terms: Terms
    account: Account
    token: Credential
    secret: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gone:
    """What is left to tell the provider of an account that was forgotten."""

    terms: Terms
    access: Credential
    refresh: Credential
    secret: Credential


@final
class Accounts:
    """Looks after accounts."""

    def __init__(self, keep: Keep, drivers: Drivers, asking: Asking) -> None:
        """Look after those in `keep`."""
        self._keep, self._drivers, self._asking = keep, drivers, asking
        self._known: dict[tuple[str, str], _Known | None] = {}
        self._generation = -1
        self._tried: dict[tuple[str, str], datetime] = {}
        """When accounts that nobody uses were last asked for."""
        self._under_way: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def ready(self, tenant: str, name: str) -> None:
        """
        Have the account behind what `tenant` calls `name` last for a call, if there is one.

        To be called before the transaction in which the connection is opened. Raises `Unavailable` (`oauth_away`) or
        `Denied` (`oauth_refused`) where it cannot be prolonged just now; that nobody is signed in any more is said
        where it is opened.
        """
        if name in _NO_CONNECTIONS:
            return
        known = await self._look(tenant, name)
        if known is not None and self._keep.now() >= known.until:
            await self._fresh(known.owner, name)

    async def doubted(self, tenant: str, name: str) -> None:
        """
        Have an account prolonged before its next call: an API did not know the token, which may have been taken back.

        One that is fresh is let alone; with that it is something else, and each call would ask the provider in vain.
        """
        try:
            await self._keep.write(lambda tx: self._doubt(tx, tenant, name))
        except Exception:
            log.exception("That the account of %s is doubted cannot be written down.", name)
        self._known.clear()

    async def watch(self) -> None:
        """Prolong what nobody used for a while, note what ran out, and let go of old sign-ins."""
        now = self._keep.now()
        self._tried = {key: at for key, at in self._tried.items() if at > now - AGAIN}
        for account in await self._keep.read(self._due):
            key = account.owner, account.connection
            if key in self._tried:
                continue
            self._tried[key] = now
            try:
                await self._fresh(*key, idle=True)
            except FreeholdError as error:
                if error.code != switches.EFFECTS_PAUSED:
                    log.warning("The account of %s could not be prolonged: %s", account.connection, error.message)
        await self._keep.write(lambda tx: begun.drop(tx, self._keep))

    async def disconnect(self, owner: str, name: str, *, by: str, why: str = "asked") -> bool:
        """
        Forget the account of a connection, and return whether its provider said that it took the tokens back.

        They are gone from here before the provider is asked, and stay so if it is away.
        """
        gone = await self._keep.write(lambda tx: self._forget(tx, owner, name, by=by, why=why))
        self._known.clear()
        if gone is None or not gone.terms.provider.revoke:
            return False
        return await self._revoke(owner, gone)

    async def end(self) -> None:
        """Finish what is under way."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _look(self, tenant: str, name: str) -> _Known | None:
        if self._generation != self._keep.generation or len(self._known) >= REMEMBERED:
            self._known.clear()
            self._generation = self._keep.generation
        key, before = (tenant, name), self._keep.generation
        if key in self._known:
            return self._known[key]
        found = await self._keep.read(lambda tx: self._found(tx, tenant, name))
        if before == self._keep.generation:  # else it may be older than what was changed since
            self._known[key] = found
        return found

    def _found(self, tx: Tx, tenant: str, name: str) -> _Known | None:
        connected = connections.find(tx, self._drivers, tenant=tenant, name=name)
        if connected is None or terms_of(connected.config) is None:
            return None
        account = tokens.find(tx, owner=connected.owner, connection=name)
        until = tokens.due_at(account) if account is not None and account.state is TokenState.CONNECTED else None
        return None if until is None else _Known(owner=connected.owner, until=until)

    async def _fresh(self, owner: str, name: str, *, idle: bool = False) -> None:
        key = owner, name
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._refresh(owner, name, idle=idle))
            task.add_done_callback(lambda done: self._landed(key, done))
        await asyncio.shield(task)  # whoever gives up waiting does not break it off for the others

    def _landed(self, key: tuple[str, str], done: asyncio.Task[None]) -> None:
        self._under_way.pop(key, None)
        self._known.clear()
        if not done.cancelled():
            done.exception()  # looked at, also where all who waited are gone

    async def _refresh(self, owner: str, name: str, *, idle: bool) -> None:
        begin = await self._keep.write(lambda tx: self._begin(tx, owner, name, idle=idle))
        if begin is None:
            return
        granted = await self._asked(begin)
        if granted is None or await self._keep.write(lambda tx: self._store(tx, begin, granted)):
            return
        # The account was let go of meanwhile, so nobody else will tell the provider of these.
        gone = _Gone(terms=begin.terms, access=granted.access, refresh=granted.refresh, secret=begin.secret)
        await self._revoke(owner, gone)

    async def _asked(self, begin: _Refresh) -> Granted | None:
        """Return what the provider gives; none where nothing is to be had any more, which is written down."""
        sent = shaping.request(begin.terms, begin.terms.provider.token, shaping.refresh_form(begin.token), begin.secret)
        try:
            return shaping.granted(begin.terms, await self._asking.ask(sent, owner=begin.account.owner))
        except shaping.ProviderRefused as error:
            if error.said not in _GONE:
                raise
            why = error.said
        await self._keep.write(lambda tx: self._expire(tx, begin, why))
        return None

    def _begin(self, tx: Tx, owner: str, name: str, *, idle: bool) -> _Refresh | None:
        """Write down that the provider is asked; none where there is nothing to ask it for."""
        account = tokens.find(tx, owner=owner, connection=name)
        terms = self._terms(tx, owner, name)
        if account is None or terms is None or account.state is TokenState.EXPIRED:
            return None
        if tokens.over(account, self._keep.now()):
            tokens.expire(tx, self._keep, owner=owner, connection=name, why="ran out")
        if not (tokens.stale(account, self._keep.now()) or (idle and account.refreshable)):
            return None
        switches.require_effects(tx, owner)
        _, token = tokens.opened(tx, self._keep, owner=owner, connection=name)
        secret = secrets.opened(tx, self._keep, tenant=owner, name=terms.secret)
        detail = {"what": "refresh", "provider": terms.host}
        self._keep.note(tx, owner or None, actor="gateway", action="sign_in.ask", subject=name, detail=detail)
        return _Refresh(terms=terms, account=account, token=token, secret=secret)

    def _doubt(self, tx: Tx, tenant: str, name: str) -> None:
        connected = connections.find(tx, self._drivers, tenant=tenant, name=name)
        account = tokens.find(tx, owner=connected.owner, connection=name) if connected is not None else None
        if account is None or not account.refreshable:
            return
        if self._keep.now() - (account.refreshed_at or account.connected_at) >= FRESH:
            tokens.doubt(tx, self._keep, owner=account.owner, connection=name)

    def _store(self, tx: Tx, begin: _Refresh, granted: Granted) -> bool:
        """Keep what was given, and return whether there is an account yet; one that somebody signed in to since stays."""
        which = {"owner": begin.account.owner, "connection": begin.account.connection}
        if self._same(tx, begin):
            tokens.refreshed(tx, self._keep, granted=granted, **which)
        return tokens.find(tx, **which) is not None

    def _expire(self, tx: Tx, begin: _Refresh, why: str) -> None:
        if self._same(tx, begin):
            which = {"owner": begin.account.owner, "connection": begin.account.connection}
            tokens.expire(tx, self._keep, why=why, **which)

    def _same(self, tx: Tx, begin: _Refresh) -> bool:
        """Return whether the account is still the one that was to be prolonged."""
        was, now = begin.account, tokens.find(tx, owner=begin.account.owner, connection=begin.account.connection)
        since = (was.connected_at, was.refreshed_at, was.state)
        return now is not None and (now.connected_at, now.refreshed_at, now.state) == since

    def _forget(self, tx: Tx, owner: str, name: str, *, by: str, why: str) -> _Gone | None:
        account, terms = tokens.find(tx, owner=owner, connection=name), self._terms(tx, owner, name)
        gone = None
        if account is not None and terms is not None and account.state is TokenState.CONNECTED:
            secret = Credential()
            with contextlib.suppress(NotFound):
                secret = secrets.opened(tx, self._keep, tenant=owner, name=terms.secret)
            access, refresh = tokens.opened(tx, self._keep, owner=owner, connection=name)
            gone = _Gone(terms=terms, access=access, refresh=refresh, secret=secret)
        tokens.forget(tx, self._keep, owner=owner, connection=name, by=by, why=why)
        return gone

    async def _revoke(self, owner: str, gone: _Gone) -> bool:
        hints = {"refresh_token": gone.refresh, "access_token": gone.access}
        if gone.terms.provider.revoking != "standard":
            del hints["refresh_token"]
        done = [
            await self._asking.revoke(shaping.revocation(gone.terms, token, gone.secret, hint=hint), owner=owner)
            for hint, token in hints.items()
            if token
        ]
        return bool(done) and all(done)

    def _terms(self, tx: Tx, owner: str, name: str) -> Terms | None:
        connected = connections.find(tx, self._drivers, tenant=owner or None, name=name)
        return terms_of(connected.config) if connected is not None and connected.owner == owner else None

    def _due(self, tx: Tx) -> list[Account]:
        now, rows = self._keep.now(), token_table.c
        last = func.coalesce(rows.refreshed_at, rows.connected_at)
        stale = and_(rows.refreshable, rows.expires_at.is_not(None), last <= now - STALE)
        over = and_(rows.refreshable.is_(False), rows.expires_at <= now)
        chosen = select(token_table).where(rows.state == TokenState.CONNECTED, or_(stale, over))
        return [tokens.account_of(row) for row in tx.execute(chosen)]
