"""Connections: named outside accounts of a tenant or of the platform; the tenant's own go first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final
from urllib.parse import urlsplit

from sqlalchemy import Connection as Tx
from sqlalchemy import Row, bindparam, delete, insert, select, update

from freehold.audit.canonical import fingerprint
from freehold.audit.recording import PLATFORM
from freehold.core.effects import BUDGET, SANDBOX, WEB
from freehold.core.errors import Conflict, Invalid, NotFound
from freehold.gateway import oauth, secrets, tokens
from freehold.gateway.asked import Behalf
from freehold.gateway.connection_tables import connections, tools
from freehold.gateway.formats import ModelDriver
from freehold.gateway.keeping import Keep
from freehold.gateway.outward.stating import require_open
from freehold.gateway.ports import ConnectorDriver, Credential

REHEARSAL: Final = "rehearsal"
MAIL: Final = "mail"
BUILT_IN: Final = frozenset({SANDBOX, BUDGET, REHEARSAL, MAIL, WEB, "delegate"})
"""Names that mean something of the platform's own and cannot be taken."""

_FIND: Final = select(connections).where(
    connections.c.tenant == bindparam("of_tenant"), connections.c.name == bindparam("of_name")
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """What can be connected to, by kind."""

    models: Mapping[str, ModelDriver]
    connectors: Mapping[str, ConnectorDriver]
    built_in: Mapping[str, str] = field(default_factory=lambda: {REHEARSAL: REHEARSAL, MAIL: "smtp", WEB: "web"})
    """Connections nobody has to make: name and kind."""

    def check(self, kind: str, config: Mapping[str, Any], credential: Credential) -> None:
        """Raise `Invalid` if no connection of `kind` can be made like this."""
        if kind in self.connectors and kind not in self.built_in.values():
            self.connectors[kind].check(config, credential)
        elif kind in self.models and kind not in self.built_in.values():
            self.models[kind].check_config(config)
        else:
            possible = sorted((self.models.keys() | self.connectors.keys()) - set(self.built_in.values()))
            raise Invalid(
                f"There is no kind of connection {kind!r}.",
                code="unknown_kind",
                remedy=f"Use one of {', '.join(possible)}.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A connection, ready to be used for one tenant."""

    name: str
    kind: str
    config: Mapping[str, Any]
    secret: str | None
    owner: str
    """Whose it is and whose secret it uses; empty for the platform."""
    id: str = ""
    """Empty for what is built in."""

    def behalf(self, tenant: str) -> Behalf:
        """Return on whose behalf `tenant` goes by it: what is the platform's, an operator wrote down."""
        return Behalf(tenant, operators=self.owner == PLATFORM)


def create(
    tx: Tx,
    keep: Keep,
    drivers: Drivers,
    *,
    tenant: str | None,
    kind: str,
    name: str,
    config: Mapping[str, Any],
    secret: str | None,
    by: str,
) -> dict[str, Any]:
    """Make a connection of `kind` called `name`, and return it as it is listed."""
    owner = tenant or PLATFORM
    if secrets.good_name("connection", name) in BUILT_IN or "." in name:
        raise Invalid(f"A connection cannot be called {name!r}.", code="bad_name", remedy="Choose another name.")
    oauth.check(kind, config)
    drivers.check(kind, config, secrets.opened(tx, keep, tenant=tenant, name=secret))
    require_open(tx, config, tenant=tenant)
    if tx.execute(select(connections.c.id).where(*_is(owner, name))).first():
        raise Conflict(f"There is a connection {name!r} already.", code="duplicate_name", remedy="Choose another name.")
    made = {"id": keep.new_id("con"), "kind": kind, "name": name, "config": dict(config), "secret": secret}
    tx.execute(insert(connections).values(tenant=owner, made_by=by, made_at=keep.now(), **made))
    detail = {"kind": kind, "secret": secret}
    keep.note(tx, tenant, actor=by, action="connection.create", subject=name, detail=detail, after=fingerprint(made))
    return _view(tx.execute(select(connections).where(*_is(owner, name))).one())


def change(
    tx: Tx,
    keep: Keep,
    drivers: Drivers,
    *,
    tenant: str | None,
    name: str,
    config: Mapping[str, Any],
    by: str,
    **other: str | None,
) -> dict[str, Any]:
    """
    Change the connection `name` and return it: the `config` that is named (null takes it away), another `secret`.

    It keeps its id, so whatever uses it goes by the new way from the next call on.
    """
    owner = tenant or PLATFORM
    found = tx.execute(select(connections).where(*_is(owner, name))).first()
    if found is None:
        raise missing(name)
    merged = {key: value for key, value in {**found.config, **config}.items() if value is not None}
    secret = other.get("secret", found.secret)
    terms = oauth.check(found.kind, merged)
    drivers.check(found.kind, merged, secrets.opened(tx, keep, tenant=tenant, name=secret))
    require_open(tx, config, tenant=tenant)
    was, wanted = _told(found), _told(found) | {"config": merged, "secret": secret}
    if was != wanted:
        tx.execute(update(connections).where(*_is(owner, name)).values(config=merged, secret=secret))
        mark = oauth.mark_of(found.config), _origin(found.config)
        if mark != (terms.mark if terms else "", _origin(merged)):  # what was given for one server goes to no other
            tokens.forget(tx, keep, owner=owner, connection=name, by=by, why="changed")
        detail = {"kind": found.kind, "secret": secret, "changed": sorted(config) + sorted(other)}
        hashes = {"before": fingerprint(was), "after": fingerprint(wanted)}
        keep.note(tx, tenant, actor=by, action="connection.change", subject=name, detail=detail, **hashes)
    return _view(tx.execute(select(connections).where(*_is(owner, name))).one())


def listed(tx: Tx, *, tenant: str | None) -> list[dict[str, Any]]:
    """Return the connections of `tenant`, or of the platform."""
    rows = tx.execute(select(connections).where(connections.c.tenant == (tenant or PLATFORM)).order_by("name"))
    return [_view(row) for row in rows]


def remove(tx: Tx, keep: Keep, *, tenant: str | None, name: str, by: str) -> None:
    """Delete the connection `name`; versions that use it get an error from then on."""
    found = tx.execute(select(connections).where(*_is(tenant or PLATFORM, name))).first()
    if found is None:
        raise missing(name)
    tx.execute(delete(connections).where(*_is(tenant or PLATFORM, name)))
    tokens.forget(tx, keep, owner=tenant or PLATFORM, connection=name, by=by, why="deleted")
    tx.execute(delete(tools).where(tools.c.tenant == (tenant or PLATFORM), tools.c.connection == name))
    keep.note(tx, tenant, actor=by, action="connection.delete", subject=name, before=fingerprint(_told(found)))


def find(tx: Tx, drivers: Drivers, *, tenant: str | None, name: str) -> Connected | None:
    """Return what `name` means for `tenant`: its own connection, the platform's, or a built-in one."""
    for owner in dict.fromkeys((tenant or PLATFORM, PLATFORM)):
        row = tx.execute(_FIND, {"of_tenant": owner, "of_name": name}).first()
        if row is not None:
            return _connected(row)
    kind = drivers.built_in.get(name)
    return Connected(name=name, kind=kind, config={}, secret=None, owner=PLATFORM) if kind else None


def of_models(tx: Tx, drivers: Drivers, *, tenant: str) -> list[Connected]:
    """Return every model connection that `tenant` sees."""
    visible = connections.c.tenant.in_((tenant, PLATFORM)), connections.c.kind.in_(drivers.models)
    return [_connected(row) for row in tx.execute(select(connections).where(*visible))]


def missing(name: str) -> NotFound:
    """Return the error that tells there is no such connection."""
    return NotFound(
        f"There is no connection {name!r}.",
        code="unknown_connection",
        remedy="`freehold connection list` shows what is there; `freehold connection create` makes one.",
    )


def _is(owner: str, name: str) -> tuple[Any, Any]:
    return connections.c.tenant == owner, connections.c.name == name


def _connected(row: Row[Any]) -> Connected:
    return Connected(name=row.name, kind=row.kind, config=row.config, secret=row.secret, owner=row.tenant, id=row.id)


def _origin(config: Mapping[str, Any]) -> str:
    """Return the server that a connection leads to."""
    parts = urlsplit(str(config.get("base_url", "")))
    return f"{parts.scheme}://{parts.netloc}".lower()


def _told(row: Row[Any]) -> dict[str, Any]:
    """Return what the record's hashes cover."""
    return {column: getattr(row, column) for column in ("id", "kind", "name", "config", "secret")}


def _view(row: Row[Any]) -> dict[str, Any]:
    columns = ("id", "name", "kind", "config", "secret", "made_by", "made_at")
    return {column: getattr(row, column) for column in columns}
