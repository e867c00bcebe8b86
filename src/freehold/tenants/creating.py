"""A new tenant: a row, and nothing else until somebody uses it."""

import re
from dataclasses import asdict, replace
from typing import Final

from freehold.core.clock import Clock
from freehold.core.errors import Invalid
from freehold.core.ids import NewId
from freehold.core.tenants import Tenant
from freehold.store.platform import Platform
from freehold.tenants.living import good_language, good_time_zone, told
from freehold.tenants.marks import mark_of
from freehold.tenants.names import good_name
from freehold.tenants.sealing import Seal
from freehold.tenants.tiers import Terms

RESERVED: Final = frozenset(
    {
        "admin", "api", "app", "apps", "audit", "auth", "console", "default", "freehold", "gateway", "health", "healthz",
        "help", "hooks", "internal", "localhost", "login", "logout", "me", "metrics", "new", "null", "operator",
        "platform", "public", "root", "static", "status", "support", "system", "tenant", "tenants", "test", "undefined",
        "v1", "www",
    }
)  # fmt: skip
"""Slugs that are, or may become, parts of addresses of the platform's own."""

NO_LIMITS: Final = Terms(tier="sovereign")
_SLUG: Final = re.compile(r"[a-z][a-z0-9-]{1,30}")


def good_slug(slug: str) -> str:
    """Return `slug` if a tenant may be called that; raise `Invalid` (`bad_slug`) where not."""
    if not _SLUG.fullmatch(slug) or slug.endswith("-") or "--" in slug:
        raise Invalid(
            f"{slug[:80]!r} is no slug for a tenant.",
            code="bad_slug",
            remedy="Use 2 to 31 small letters, digits and single dashes, beginning with a letter, such as acme.",
        )
    if slug in RESERVED:
        raise Invalid(
            f"The slug {slug!r} is kept for the platform itself.", code="bad_slug", remedy="Choose another slug."
        )
    return slug


def create(
    platform: Platform,
    *,
    slug: str,
    name: str,
    by: str,
    seal: Seal,
    ids: NewId,
    clock: Clock,
    public_key: str = "",
    terms: Terms = NO_LIMITS,
    time_zone: str = "UTC",
    language: str = "en",
    owner: str = "",
) -> Tenant:
    """
    Write down a new tenant, a draft that begins with `terms`, and return it.

    `owner` is the person whose allowance it counts against, if it does. A slug that is taken is a `Conflict`
    (`slug_taken`).
    """
    tenant = Tenant(
        id=ids("ten"),
        slug=good_slug(slug),
        name=good_name(name) or slug,
        uid=platform.tenants.next_uid(),
        created_at=clock.now(),
        public_key=public_key,
        time_zone=good_time_zone(time_zone),
        language=good_language(language),
        created_by=owner,
        **asdict(terms),
    )
    tenant = replace(tenant, seal=mark_of(seal, tenant))
    platform.tenants.add(tenant)
    told(platform, tenant, "tenant.create", by=by, clock=clock, detail={"slug": slug})
    return tenant
