"""
Levels: which models do a kind of work, in the order they are tried.

The platform's routes hold for everybody, a tenant's own in their place for that tenant. Whoever wants a kind of work
names the level, so another provider is put in with one change here, and the next call goes there.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import Row, bindparam, delete, insert, select, update

from freehold.audit.canonical import fingerprint
from freehold.audit.recording import PLATFORM
from freehold.core.errors import Invalid, NotFound
from freehold.core.money import Level
from freehold.gateway.keeping import Keep
from freehold.gateway.money_tables import levels

MOST: Final = 8
"""Routes of one level: each that fails costs the asker time."""
_ROUTE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}/[^\s\x00-\x1f]{1,200}|rehearsal(\?[^\s\x00-\x1f]{0,200})?")
_CHAIN: Final = (
    select(levels.c.tenant, levels.c.routes)
    .where(levels.c.tenant.in_((PLATFORM, bindparam("of_tenant"))), levels.c.level == bindparam("of_level"))
    .order_by(levels.c.tenant.desc())  # the platform is empty text, so a tenant's own comes first
    .limit(1)
)


def chain(tx: Tx, *, tenant: str, level: str) -> tuple[str, ...]:
    """Return the routes of `level` for `tenant`: its own, else the platform's; none where nobody set any."""
    if level not in set(Level):
        return ()
    found = tx.execute(_CHAIN, {"of_tenant": tenant, "of_level": Level(level)}).first()
    return () if found is None else tuple(found.routes)


def good_level(level: str) -> Level:
    """Return the level that is called so; raise `Invalid` (`unknown_level`) where none is."""
    if level not in set(Level):
        raise Invalid(
            f"There is no level {level[:40]!r}.", code="unknown_level", remedy=f"Use one of {', '.join(Level)}."
        )
    return Level(level)


def good_routes(routes: Sequence[str]) -> list[str]:
    """Return `routes` if a level may have them; raise `Invalid` (`bad_route`) where not."""
    wrong = [route for route in routes if not _ROUTE.fullmatch(route)]
    if wrong or not routes or len(routes) > MOST or len(set(routes)) < len(routes):
        named = f"{wrong[0][:80]!r} is no route." if wrong else f"A level has 1 to {MOST} routes, each of them once."
        raise Invalid(named, code="bad_route", remedy="Write CONNECTION/MODEL for each, in the order they are tried.")
    return list(routes)


def put(tx: Tx, keep: Keep, *, tenant: str | None, level: str, routes: Sequence[str], by: str) -> dict[str, Any]:
    """Let `level` go by `routes` for `tenant` (none: for all that set nothing else), and return it as it is listed."""
    owner, which, wanted = tenant or PLATFORM, good_level(level), good_routes(routes)
    before = _row(tx, owner, which)
    values = {"routes": wanted, "set_by": by, "set_at": keep.now()}
    if before is None:
        tx.execute(insert(levels).values(tenant=owner, level=which, **values))
    elif before.routes != wanted:
        tx.execute(update(levels).where(*_is(owner, which)).values(values))
    after = _view(tx.execute(select(levels).where(*_is(owner, which))).one(), tenant)
    if before is None or before.routes != wanted:
        keep.note(
            tx,
            tenant,
            actor=by,
            action="level.set",
            subject=str(which),
            detail={"routes": wanted},
            before=_hash(before),
            after=fingerprint({"routes": wanted}),
        )
    return after


def remove(tx: Tx, keep: Keep, *, tenant: str | None, level: str, by: str) -> None:
    """Forget what `tenant` (none: the platform) set for `level`; the platform's holds for the tenant again."""
    owner, which = tenant or PLATFORM, good_level(level)
    before = _row(tx, owner, which)
    if before is None:
        whose = "The tenant" if tenant else "The platform"
        raise NotFound(
            f"{whose} set nothing for the level {str(which)!r}.",
            code="level_not_set",
            remedy="`freehold level list` shows what is set.",
        )
    tx.execute(delete(levels).where(*_is(owner, which)))
    keep.note(tx, tenant, actor=by, action="level.delete", subject=str(which), before=_hash(before))


def listed(tx: Tx, *, tenant: str | None) -> list[dict[str, Any]]:
    """Return the levels that hold for `tenant`, or the platform's: `level`, `routes`, `own`, `set_by`, `set_at`."""
    rows = tx.execute(select(levels).where(levels.c.tenant.in_({PLATFORM, tenant or PLATFORM})).order_by("tenant"))
    holding = {row.level: _view(row, tenant) for row in rows}  # a tenant's own come later and take the place
    return [holding[level] for level in Level if level in holding]


def _is(owner: str, level: Level) -> tuple[Any, Any]:
    return levels.c.tenant == owner, levels.c.level == level


def _row(tx: Tx, owner: str, level: Level) -> Row[Any] | None:
    return tx.execute(select(levels).where(*_is(owner, level))).first()


def _hash(row: Row[Any] | None) -> str:
    return "" if row is None else fingerprint({"routes": row.routes})


def _view(row: Row[Any], tenant: str | None) -> dict[str, Any]:
    own = row.tenant == (tenant or PLATFORM)
    return {
        "level": str(row.level),
        "routes": list(row.routes),
        "own": own,
        "set_by": row.set_by,
        "set_at": row.set_at,
    }
