"""Tiers: those that ship, as an operator changed them, and which of them a tenant has."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from freehold.audit.canonical import fingerprint
from freehold.audit.database import note
from freehold.catalog.tiers import UNLIMITED, shipped, trial
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Invalid, NotFound
from freehold.core.quotas import Quota, Tier
from freehold.core.tenants import Tenant, TierSource
from freehold.store.platform import Platform
from freehold.store.quotas import Tiers

FRACTIONS: Final = frozenset({Quota.CPU, Quota.SPEND_USD, Quota.MEMORY_MB, Quota.STORAGE_MB})
"""Quotas that need not be whole numbers."""
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,38}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a new tenant begins with; its fields are those of a `Tenant`."""

    tier: str
    tier_until: datetime | None = None
    tier_source: TierSource = TierSource.OPERATOR


def terms(platform: Platform, *, default: str, on_trial: bool, at: datetime) -> Terms:
    """
    Return what a tenant made at this moment begins with: the `default` tier, or a trial.

    Raises `Invalid` (`unknown_tier`) where the default names no tier.
    """
    if on_trial:
        return trial_terms(at)
    return Terms(tier=_known(Tiers(platform.connection), default))


def trial_terms(at: datetime) -> Terms:
    """Return the terms of a trial that begins at this moment."""
    offered = trial()
    return Terms(tier=offered.tier, tier_until=at + timedelta(days=offered.days), tier_source=TierSource.TRIAL)


def tier_of(name: str, changed: Mapping[str, float] | None) -> Tier | None:
    """Return the tier of this name with the limits an operator `changed`; None where there is none."""
    known = shipped().get(name)
    if changed is None:
        return known
    limits = dict(UNLIMITED if known is None else known.limits)
    limits |= {quota: changed[quota] for quota in limits if quota in changed}
    return Tier(name=name, limits=limits)


def tiers(platform: Platform) -> list[Tier]:
    """Return all tiers as they stand, those that ship first."""
    changed = Tiers(platform.connection).all()
    found = (tier_of(name, changed.get(name)) for name in dict.fromkeys([*shipped(), *changed]))
    return [tier for tier in found if tier is not None]


def set_tier(platform: Platform, name: str, limits: Mapping[str, float | None], *, by: str, clock: Clock) -> Tier:
    """
    Change the `limits` of a tier (None: no limit), or make a new one, and return it.

    What is not named stays; a new tier begins without limits. Tenants that have it are held to it from now on, and
    keep what they have beyond it. Raises `Invalid` (`bad_name`, `unknown_quota`, `bad_limit`).
    """
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name[:60]!r} cannot be the name of a tier.",
            code="bad_name",
            remedy="Use 1 to 39 small letters, digits and hyphens, beginning with a letter.",
        )
    known = Tiers(platform.connection)
    before = tier_of(name, known.all().get(name))
    now = before or Tier(name=name, limits=UNLIMITED)
    changed = replace(now, limits=dict(now.limits) | {_quota(one): _limit(one, limits[one]) for one in limits})
    at = clock.now()
    known.put(name, changed.limits, at=at)
    detail = {"limits": {one: None if limits[one] is None else str(limits[one]) for one in sorted(limits)}}
    _note(platform, "tier.set", name, before, changed, by=by, at=at, detail=detail)
    return changed


def reset_tier(platform: Platform, name: str, *, by: str, clock: Clock) -> None:
    """
    Undo what was set for a tier: one that ships is as it shipped, any other is gone.

    Raises `NotFound` where there is no such tier, `Conflict` (`tier_in_use`) if it would go while a tenant has it.
    """
    known = Tiers(platform.connection)
    _known(known, name, kind=NotFound)
    before = tier_of(name, known.all().get(name))
    users = 0 if name in shipped() else known.users(name)
    if users:
        raise Conflict(
            f"{users} tenants have the tier {name}.",
            code="tier_in_use",
            remedy="Give them another one first: freehold tenant set TENANT --tier NAME",
        )
    known.remove(name)
    _note(platform, "tier.reset", name, before, tier_of(name, None), by=by, at=clock.now(), detail={})


def give(platform: Platform, tenant: Tenant, wanted: Terms, *, by: str, clock: Clock) -> Tenant:
    """Let the tenant have a tier from now on, and return it; raises `Invalid` (`unknown_tier`)."""
    known = Tiers(platform.connection)
    name = _known(known, wanted.tier)
    until, source = wanted.tier_until, wanted.tier_source
    known.give(tenant.id, name, until=until, source=source)
    given = replace(tenant, tier=name, tier_until=until, tier_source=source)
    detail = {"tier": name, "before": tenant.tier, "source": source, "until": until and until.isoformat()}
    act: dict[str, Any] = {
        "at": clock.now(),
        "actor": by,
        "action": "tenant.tier",
        "subject": tenant.id,
        "detail": detail,
        "before": fingerprint(tenant, "name"),
        "after": fingerprint(given, "name"),
    }
    for chain in (None, tenant.id):
        note(platform.connection, tenant=chain, **act)
    return given


def _note(
    platform: Platform,
    action: str,
    name: str,
    before: Tier | None,
    after: Tier | None,
    *,
    by: str,
    at: datetime,
    detail: dict[str, Any],
) -> None:
    hashes = [
        "" if one is None else fingerprint({quota: str(limit) for quota, limit in one.limits.items()})
        for one in (before, after)
    ]
    note(
        platform.connection,
        at=at,
        tenant=None,
        actor=by,
        action=action,
        subject=name,
        detail=detail,
        before=hashes[0],
        after=hashes[1],
    )


def _known(known: Tiers, name: str, *, kind: type[Invalid | NotFound] = Invalid) -> str:
    names = dict.fromkeys([*shipped(), *known.all()])
    if name not in names:
        raise kind(
            f"There is no tier {name[:60]!r}.",
            code="unknown_tier",
            remedy=f"Use one of {', '.join(names)}, or make it with: freehold tier set NAME QUOTA=VALUE",
        )
    return name


def _quota(name: str) -> Quota:
    if name not in set(Quota):
        raise Invalid(
            f"There is no quota {name[:60]!r}.", code="unknown_quota", remedy=f"Use one of {', '.join(Quota)}."
        )
    return Quota(name)


def _limit(name: str, limit: float | None) -> float:
    if limit is None:
        return math.inf
    whole = name in FRACTIONS or limit == int(limit)
    if not whole or limit < 0:
        raise Invalid(
            f"{limit:g} is no limit for {name}.",
            code="bad_limit",
            remedy="Use a number from 0 on, a whole one where things are counted; null (inf) where there is no limit.",
        )
    return float(limit)
