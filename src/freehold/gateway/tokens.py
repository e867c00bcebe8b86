"""
Accounts that somebody signed in to for a connection: what people may see of them, and their tokens in the vault.

A connection has one account, or none. Its two tokens lie in the vault like any secret, under names that nobody can
type, so that whatever looks after secrets looks after them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, delete, insert, select, update

from freehold.audit.recording import PLATFORM
from freehold.core.errors import Unavailable
from freehold.gateway import secrets
from freehold.gateway.connection_tables import TokenState, tokens
from freehold.gateway.keeping import Keep
from freehold.gateway.oauth import not_connected
from freehold.gateway.ports import Credential

_PREFIX: Final = "oauth:"
_FIND: Final = select(tokens).where(
    tokens.c.tenant == bindparam("of_owner"), tokens.c.connection == bindparam("of_connection")
)


EARLY: Final = timedelta(seconds=60)
"""How long a token must last for a call to begin with it."""


class Stale(Unavailable):
    """An access has run out, or nearly, and can be prolonged: whoever waits for it has that done and opens it again."""

    code = "oauth_stale"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a provider gave."""

    access: Credential
    refresh: Credential = field(default_factory=Credential)
    """Nothing where it gave none: then the one that was there before goes on, if there is one."""
    lasts: timedelta | None = None
    """None where it does not say."""
    scopes: tuple[str, ...] | None = None
    """None where it does not say: then what was asked for."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as it stands, without its tokens."""

    owner: str
    connection: str
    state: TokenState
    scopes: tuple[str, ...]
    account: str
    expires_at: datetime | None
    refreshable: bool
    connected_by: str
    connected_at: datetime
    refreshed_at: datetime | None
    warned_at: datetime | None


def find(tx: Tx, *, owner: str, connection: str) -> Account | None:
    """Return the account of a connection, if somebody ever signed in."""
    row = tx.execute(_FIND, {"of_owner": owner, "of_connection": connection}).first()
    return None if row is None else account_of(row)


def listed(tx: Tx, *, owner: str) -> list[Account]:
    """Return all accounts of a tenant, or of the platform."""
    rows = tx.execute(select(tokens).where(tokens.c.tenant == owner).order_by(tokens.c.connection))
    return [account_of(row) for row in rows]


def access(tx: Tx, keep: Keep, *, owner: str, connection: str) -> Credential:
    """
    Return what opens the account.

    Raises `Denied` (`not_connected`) where nobody is signed in to it any more, and `Stale` where it has to be prolonged
    before.
    """
    found = find(tx, owner=owner, connection=connection)
    if found is None:
        raise not_connected(connection)
    if found.state is TokenState.EXPIRED or over(found, keep.now()):
        raise not_connected(connection, why=f"The account of {connection!r} has run out, or was taken back.")
    if stale(found, keep.now()):
        raise Stale("The access to the account is being prolonged.")
    return opened(tx, keep, owner=owner, connection=connection)[0]


def opened(tx: Tx, keep: Keep, *, owner: str, connection: str) -> tuple[Credential, Credential]:
    """Return the tokens of an account that is connected: what opens it, and what prolongs that, if anything does."""
    found = find(tx, owner=owner, connection=connection)
    names = _access(connection), _refresh(connection) if found is not None and found.refreshable else None
    shown, prolongs = (secrets.opened(tx, keep, tenant=owner, name=name, ours=True) for name in names)
    return shown, prolongs


def stale(account: Account, at: datetime) -> bool:
    """Return whether an access has to be prolonged before a call, and can be."""
    due = due_at(account)
    return account.refreshable and due is not None and due <= at


def due_at(account: Account) -> datetime | None:
    """Return when an access has to be prolonged, or ends where it cannot be; none where it lasts until further notice."""
    if account.expires_at is None or not account.refreshable:
        return account.expires_at
    # What some providers give lasts no minute: half of it has to be enough then.
    return account.expires_at - min(EARLY, (account.expires_at - (account.refreshed_at or account.connected_at)) / 2)


def over(account: Account, at: datetime) -> bool:
    """Return whether an access has run out for good."""
    return not account.refreshable and account.expires_at is not None and account.expires_at <= at


def connect(
    tx: Tx,
    keep: Keep,
    *,
    owner: str,
    connection: str,
    granted: Granted,
    scopes: tuple[str, ...],
    account: str,
    provider: str,
    by: str,
) -> Account:
    """Keep what `by` was given for a connection, in the place of what was there, and return the account."""
    # Whatever another sign-in left is gone: a refresh token of another account would bring that one back.
    values = {_access(connection): granted.access.reveal(), _refresh(connection): granted.refresh.reveal() or None}
    listed = secrets.put_ours(tx, keep, owner=owner, values=values, by=by)
    row = {
        "state": TokenState.CONNECTED,
        "scopes": list(scopes),
        "account": account,
        "expires_at": _until(keep, granted),
        "refreshable": bool(granted.refresh),
        "connected_by": by,
        "connected_at": keep.now(),
        "refreshed_at": None,
        "warned_at": None,
    }
    tx.execute(delete(tokens).where(*_is(owner, connection)))
    tx.execute(insert(tokens).values(tenant=owner, connection=connection, **row))
    detail = {"provider": provider, "scopes": list(scopes), "refreshable": row["refreshable"], "manifest": listed}
    _note(tx, keep, owner, connection, by=by, action="sign_in.connect", detail=detail)
    return account_of(tx.execute(_FIND, {"of_owner": owner, "of_connection": connection}).one())


def refreshed(tx: Tx, keep: Keep, *, owner: str, connection: str, granted: Granted) -> None:
    """Keep what a refresh brought, the new refresh token with it, before anybody uses either."""
    values: dict[str, str | None] = {_access(connection): granted.access.reveal()}
    values |= {_refresh(connection): granted.refresh.reveal()} if granted.refresh else {}
    listed = secrets.put_ours(tx, keep, owner=owner, values=values, by="gateway")
    changes: dict[str, Any] = {"expires_at": _until(keep, granted), "refreshed_at": keep.now()}
    changes |= {"scopes": list(granted.scopes)} if granted.scopes else {}
    tx.execute(update(tokens).where(*_is(owner, connection)).values(changes))
    detail = {"rotated": bool(granted.refresh), "manifest": listed}
    _note(tx, keep, owner, connection, by="gateway", action="sign_in.refresh", detail=detail)


def doubt(tx: Tx, keep: Keep, *, owner: str, connection: str) -> None:
    """Have an access be prolonged before it is used again."""
    tx.execute(update(tokens).where(*_is(owner, connection)).values(expires_at=keep.now()))


def expire(tx: Tx, keep: Keep, *, owner: str, connection: str, why: str) -> None:
    """Forget tokens that nothing can be had with any more; that there was an account stays, until somebody signs in."""
    found = find(tx, owner=owner, connection=connection)
    if found is None or found.state is TokenState.EXPIRED:
        return
    listed = secrets.put_ours(tx, keep, owner=owner, values=_none(connection), by="gateway")
    changes = {"state": TokenState.EXPIRED, "refreshable": False, "warned_at": None}
    tx.execute(update(tokens).where(*_is(owner, connection)).values(changes))
    detail = {"why": why, "manifest": listed}
    _note(tx, keep, owner, connection, by="gateway", action="sign_in.expire", detail=detail)


def forget(tx: Tx, keep: Keep, *, owner: str, connection: str, by: str, why: str) -> bool:
    """Forget the account of a connection and its tokens; return whether there was one."""
    if find(tx, owner=owner, connection=connection) is None:
        return False
    listed = secrets.put_ours(tx, keep, owner=owner, values=_none(connection), by=by)
    tx.execute(delete(tokens).where(*_is(owner, connection)))
    detail = {"why": why, "manifest": listed}
    _note(tx, keep, owner, connection, by=by, action="sign_in.disconnect", detail=detail)
    return True


def account_of(row: Any) -> Account:
    """Return the account that a row tells of."""
    told = {name: getattr(row, name) for name in Account.__slots__ if name not in {"owner", "scopes"}}
    return Account(owner=row.tenant, scopes=tuple(row.scopes), **told)


def _until(keep: Keep, granted: Granted) -> datetime | None:
    return None if granted.lasts is None else keep.now() + granted.lasts


def _note(tx: Tx, keep: Keep, owner: str, connection: str, *, by: str, action: str, detail: Mapping[str, Any]) -> None:
    tenant = None if owner == PLATFORM else owner
    keep.note(tx, tenant, actor=by, action=action, subject=connection, detail=detail)


def _none(connection: str) -> dict[str, str | None]:
    return {_access(connection): None, _refresh(connection): None}


def _access(connection: str) -> str:
    return f"{_PREFIX}{connection}:access"


def _refresh(connection: str) -> str:
    return f"{_PREFIX}{connection}:refresh"


def _is(owner: str, connection: str) -> tuple[Any, Any]:
    return tokens.c.tenant == owner, tokens.c.connection == connection
