"""A tenant's life: deployed, suspended, resumed, deleted, restored; each an arrow of its state table, and recorded."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from freehold.audit.canonical import fingerprint
from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Invalid
from freehold.core.tenants import Tenant, TenantEvent
from freehold.store.life import Receipts
from freehold.store.platform import Platform
from freehold.tenants.keys import revoke
from freehold.tenants.names import good_name
from freehold.tenants.sealing import Seal

_LANGUAGE: Final = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8}){0,4}")


def good_time_zone(name: str) -> str:
    """Return `name` if it is a time zone; raise `Invalid` (`bad_time_zone`) where not."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(
            f"{name[:80]!r} is no time zone.",
            code="bad_time_zone",
            remedy="Use a name of the IANA database, such as Europe/Berlin or UTC.",
        ) from error
    return name


def good_language(tag: str) -> str:
    """Return `tag` if it names a language; raise `Invalid` (`bad_language`) where not."""
    if not _LANGUAGE.fullmatch(tag):
        raise Invalid(
            f"{tag[:80]!r} is no language tag.", code="bad_language", remedy="Use a BCP 47 tag, such as en or de-AT."
        )
    return tag


def live(platform: Platform, tenant: str, event: TenantEvent, *, by: str, clock: Clock) -> Tenant:
    """Let `event` happen to the tenant with this id, and return it; raise `BadTransition` where it cannot."""
    found = platform.tenants.find(tenant)
    moved = found.after(event)
    platform.tenants.save(moved)
    detail = {"before": found.state, "state": moved.state}
    told(platform, moved, f"tenant.{event}", by=by, clock=clock, detail=detail, before=found)
    return moved


def delete(platform: Platform, tenant: str, *, confirm: str, days: float, by: str, seal: Seal, clock: Clock) -> Tenant:
    """
    Delete the tenant with this id and return it: as good as gone now, destroyed in `days` days.

    Its keys are revoked for good, and its receipt is begun. Raises `Invalid` (`not_confirmed`) unless `confirm` is
    its slug.
    """
    found = platform.tenants.find(tenant)
    confirmed(found, confirm)
    now = clock.now()
    moved = replace(found.after(TenantEvent.DELETE), purge_at=now + timedelta(days=days))
    platform.tenants.save(moved)
    revoked = revoke_keys(platform, found.id, by=by, seal=seal, clock=clock)
    Receipts(platform.connection).begin(moved, by=by, at=now)
    detail = {"before": found.state, "state": moved.state, "keys": len(revoked), "purge_at": _when(moved)}
    told(platform, moved, "tenant.delete", by=by, clock=clock, detail=detail, before=found)
    return moved


def revoke_keys(
    platform: Platform, tenant: str | None, *, by: str, seal: Seal, clock: Clock, but: str = ""
) -> list[str]:
    """Put every key of a tenant (none: the platform's own) out of force, `but` one; return the ids of those."""
    at = clock.now()
    ending = [key.id for key in platform.keys.of(tenant) if key.id != but and key.in_force(at)]
    for key in ending:
        revoke(platform, tenant=tenant, key=key, by=by, seal=seal, clock=clock)
    return ending


def restore(platform: Platform, tenant: str, *, by: str, clock: Clock) -> Tenant:
    """
    Take back that the tenant was deleted, and return it, suspended; its keys stay revoked.

    Raises `Conflict` (`purge_begun`) once its destruction has begun.
    """
    found = platform.tenants.find(tenant)
    moved = replace(found.after(TenantEvent.RESTORE), purge_at=None)
    if not Receipts(platform.connection).withdraw(found.id):
        raise Conflict(
            "The tenant is being destroyed.",
            code="purge_begun",
            remedy="It cannot be had back; `freehold tenant receipts` shows what became of it.",
        )
    platform.tenants.save(moved)
    told(platform, moved, "tenant.restore", by=by, clock=clock, detail={"state": moved.state}, before=found)
    return moved


def change(platform: Platform, tenant: str, changes: Mapping[str, str], *, by: str, clock: Clock) -> Tenant:
    """Change name, time zone or language of the tenant with this id, and return it."""
    good = {"name": good_name, "time_zone": good_time_zone, "language": good_language}
    found = platform.tenants.find(tenant)
    wanted: dict[str, Any] = {field: good[field](value) for field, value in changes.items()}
    if not wanted:
        return found
    moved = replace(found, **wanted | ({"name": wanted["name"] or found.slug} if "name" in wanted else {}))
    platform.tenants.save(moved)
    told(platform, moved, "tenant.change", by=by, clock=clock, detail={"changed": sorted(wanted)}, before=found)
    return moved


def confirmed(tenant: Tenant, typed: str) -> None:
    """Return if `typed` is the slug of the tenant; raise `Invalid` (`not_confirmed`) where not."""
    if typed != tenant.slug:
        raise Invalid(
            "Nothing is destroyed unless the tenant's slug is typed.",
            code="not_confirmed",
            remedy=f"Say confirm={tenant.slug} (--confirm {tenant.slug}) if this is the tenant you mean.",
        )


def told(
    platform: Platform,
    tenant: Tenant,
    action: str,
    *,
    by: str,
    clock: Clock,
    detail: Mapping[str, object],
    before: Tenant | None = None,
) -> None:
    """Write down what happened to a tenant, in the platform's chain and in its own; its name may be somebody's."""
    for chain in (None, tenant.id):
        note(
            platform.connection,
            at=clock.now(),
            tenant=chain,
            actor=by,
            action=action,
            subject=tenant.id,
            detail=detail,
            before=fingerprint(before, "name"),
            after=fingerprint(tenant, "name"),
        )


def _when(tenant: Tenant) -> str:
    return "" if tenant.purge_at is None else tenant.purge_at.isoformat()
