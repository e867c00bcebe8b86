"""
Kill switches as the gateway keeps them: effects that are paused, tenants that are held or were erased.

A switch is read in the transaction that writes an intent down, and is thrown through the same writer: once it is
thrown, nothing begins. What had begun is finished, and counted for whoever threw it. The platform's own mail is no
tenant's effect and goes on: people sign in with it, also those who come to throw the switch back.
"""

from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, delete, insert, select, update

from freehold.audit.canonical import fingerprint
from freehold.audit.recording import PLATFORM
from freehold.core.errors import Unavailable
from freehold.gateway.keeping import Keep
from freehold.gateway.tables import metadata, switches
from freehold.store.prepared import Prepared

EFFECTS_PAUSED: Final = "effects_paused"
ASK_AGAIN: Final = 30.0
"""Seconds after which a run that was refused asks again; whoever throws the switch back wakes it at once."""

# Spelt once: putting a statement together costs more than running it, and every call passes here.
_PAUSED: Final = Prepared(
    select(switches.c.tenant, switches.c.effects_paused_at)
    .where((switches.c.tenant == bindparam("of_all")) | (switches.c.tenant == bindparam("of_tenant")))
    .where(switches.c.effects_paused_at.is_not(None) | switches.c.held_at.is_not(None))
)


def require_effects(tx: Tx, tenant: str) -> None:
    """Return if an effect of `tenant` may begin; raise `Unavailable` (`effects_paused`) while it may not."""
    if not tenant:
        return
    found = _PAUSED.first(tx, {"of_all": PLATFORM, "of_tenant": tenant})
    if found is None:
        return
    owner, paused_at = found
    if paused_at is None:
        raise Unavailable(
            "The tenant is not active, so it has no effect.",
            code=EFFECTS_PAUSED,
            after=ASK_AGAIN,
            remedy="It goes on once the tenant is resumed: freehold tenant resume TENANT",
        )
    whose = "of the whole platform" if owner == PLATFORM else "of this tenant"
    raise Unavailable(
        f"All effects {whose} are paused.",
        code=EFFECTS_PAUSED,
        after=ASK_AGAIN,
        remedy="They go on once somebody throws the switch back: freehold switch resume-effects",
    )


def pause(tx: Tx, keep: Keep, *, tenant: str | None, by: str, paused: bool) -> None:
    """Pause the effects of `tenant` (none: of all), or let them go on; what is so already stays so."""
    owner = tenant or PLATFORM
    before = _told(_row(tx, owner))
    if before["paused"] == paused:
        return
    _put(tx, owner, effects_paused_at=keep.now() if paused else None, effects_paused_by=by if paused else "")
    action = "effects.pause" if paused else "effects.resume"
    after = _told(_row(tx, owner))
    keep.note(
        tx,
        tenant,
        actor=by,
        action=action,
        subject=tenant or "platform",
        before=fingerprint(before),
        after=fingerprint(after),
    )


def hold(tx: Tx, keep: Keep, *, tenant: str, by: str, held: bool) -> None:
    """Let a tenant that is not active have no effect, whatever a worker asks for; or let it have effects again."""
    if (_row(tx, tenant).get("held_at") is not None) == held:
        return
    _put(tx, tenant, held_at=keep.now() if held else None)
    keep.note(
        tx,
        tenant,
        actor=by,
        action="effects.hold" if held else "effects.release",
        subject=tenant,
        before=fingerprint({"held": not held}),
        after=fingerprint({"held": held}),
    )


def held(tx: Tx) -> list[str]:
    """Return the tenants that are held and not yet erased."""
    which = switches.c.held_at.is_not(None), switches.c.erased_at.is_(None)
    return list(tx.execute(select(switches.c.tenant).where(*which)).scalars())


def shown(tx: Tx, *, tenant: str | None) -> dict[str, Any]:
    """Return whether effects are paused here and over the whole platform: since when, and by whom."""
    return {"here": _told(_row(tx, tenant or PLATFORM)), "platform": _told(_row(tx, PLATFORM))}


def erase(tx: Tx, keep: Keep, *, tenant: str, by: str) -> dict[str, Any]:
    """
    Destroy the tenant's keys and all that is kept for it but the record and what was used; return what that was.

    No key is ever made for it again. Erasing twice changes nothing, and tells what the first time did.
    """
    before = _row(tx, tenant)
    if before.get("erased_at") is None:
        if tx.dialect.name == "sqlite":
            tx.exec_driver_sql("PRAGMA secure_delete=ON")  # what is deleted is overwritten
        gone: dict[str, int] = {}
        for table in metadata.sorted_tables:
            if (
                table.info["data_class"] != "evidence"
                and table.info["retention"] != "forever"
                and table is not switches
            ):
                gone[table.name] = tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount
        _put(tx, tenant, erased_at=keep.now(), erased=gone)
        for chain in (None, tenant):
            keep.note(tx, chain, actor=by, action="tenant.erase", subject=tenant, detail={"rows": gone})
    after = _row(tx, tenant)
    return {"at": after["erased_at"].isoformat(), "rows": after["erased"]}


def _row(tx: Tx, owner: str) -> dict[str, Any]:
    found = tx.execute(select(switches).where(switches.c.tenant == owner)).mappings().first()
    return {} if found is None else dict(found)


def _put(tx: Tx, owner: str, **changes: Any) -> None:
    if tx.execute(update(switches).where(switches.c.tenant == owner).values(changes)).rowcount == 0:
        begun = {"tenant": owner, "effects_paused_by": "", "erased": {}}
        tx.execute(insert(switches).values(begun | changes))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    at = row.get("effects_paused_at")
    return {"paused": at is not None, "since": at and at.isoformat(), "by": row.get("effects_paused_by", "")}
