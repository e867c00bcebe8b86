"""Named destinations: places in private networks that an operator opened, for one tenant or for all."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, final

from sqlalchemy import Connection as Tx
from sqlalchemy import delete, insert, select

from freehold.audit.canonical import fingerprint
from freehold.audit.recording import PLATFORM
from freehold.core.errors import Conflict, NotFound
from freehold.gateway import secrets
from freehold.gateway.asked import Behalf
from freehold.gateway.connection_tables import destinations
from freehold.gateway.keeping import Keep
from freehold.gateway.outward.hosts import Place, host_of, place_of

ANY: Final = 0
"""The port that stands for all."""
Open = frozenset[tuple[str, str, int]]
"""Whose (`""`: everybody's), host and port of all that is open."""
Allowed = Callable[[], Awaitable[Open]]


@final
class Destinations:
    """What is open now, remembered while nothing changes."""

    def __init__(self, keep: Keep) -> None:
        self._keep, self._open, self._generation = keep, Open(), -1

    async def allowed(self) -> Open:
        """Return what is open."""
        if self._generation != self._keep.generation:
            before = self._keep.generation
            self._open = await self._keep.read(allowed)
            self._generation = before
        return self._open


def allow(tx: Tx, keep: Keep, *, tenant: str | None, name: str, place: str, by: str) -> dict[str, Any]:
    """
    Open `place` (`HOST:PORT`, or `HOST:*` for every port) under `name`, and return it as it is listed.

    Raises `Invalid` (`bad_host`, `bad_name`) and `Conflict` (`duplicate_name`); the same again changes nothing.
    """
    owner = tenant or PLATFORM
    secrets.good_name("destination", name)
    if place.endswith(":*"):
        host, port = host_of(place[:-2]).name, ANY
    else:
        meant = place_of(place)
        host, port = meant.host.name, meant.port
    found = tx.execute(select(destinations).where(*_is(owner, name))).first()
    if found is None:
        values = {"tenant": owner, "name": name, "host": host, "port": port, "set_by": by, "set_at": keep.now()}
        tx.execute(insert(destinations).values(values))
        told = {"host": host, "port": port}
        keep.note(tx, tenant, actor=by, action="destination.allow", subject=name, detail=told, after=fingerprint(told))
    elif (found.host, found.port) != (host, port):
        raise Conflict(
            f"There is a destination {name!r} already, and it is another.",
            code="duplicate_name",
            remedy="Choose another name, or remove that one first.",
        )
    return _view(tx.execute(select(destinations).where(*_is(owner, name))).one())


def remove(tx: Tx, keep: Keep, *, tenant: str | None, name: str, by: str) -> None:
    """Close the destination `name` again; raise `NotFound` where there is none."""
    owner = tenant or PLATFORM
    found = tx.execute(select(destinations).where(*_is(owner, name))).first()
    if found is None:
        raise NotFound(f"There is no destination {name!r}.", remedy="`freehold destination list` shows what is there.")
    tx.execute(delete(destinations).where(*_is(owner, name)))
    before = fingerprint({"host": found.host, "port": found.port})
    keep.note(tx, tenant, actor=by, action="destination.remove", subject=name, before=before)


def listed(tx: Tx, *, tenant: str | None) -> list[dict[str, Any]]:
    """Return the destinations that are open to `tenant` alone, or to all."""
    rows = tx.execute(select(destinations).where(destinations.c.tenant == (tenant or PLATFORM)).order_by("name"))
    return [_view(row) for row in rows]


def allowed(tx: Tx) -> Open:
    """Return all that is open."""
    rows = tx.execute(select(destinations.c.tenant, destinations.c.host, destinations.c.port)).all()
    return frozenset((row.tenant, row.host, row.port) for row in rows)


def leads_to(opened: Open, place: Place, behalf: Behalf) -> bool:
    """Return whether `place` is among what is `opened` to `behalf`; a name and its address are two places."""
    owners, ports = (PLATFORM, behalf.tenant), (place.port, ANY)
    return any((owner, place.host.name, port) in opened for owner in owners for port in ports)


def _is(owner: str, name: str) -> tuple[Any, Any]:
    return destinations.c.tenant == owner, destinations.c.name == name


def _view(row: Any) -> dict[str, Any]:
    return {column: getattr(row, column) for column in ("name", "host", "port", "set_by", "set_at")}
