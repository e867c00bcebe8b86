"""Tenants whose slugs somebody swapped in the database: a group's role in one is none in the other."""

from pathlib import Path
from typing import Any

from sqlalchemy import update

from freehold.core.tenants import Tenant, TenantEvent
from freehold.store.tenants import tenant_table
from freehold.tenants import living
from tests.sign_on import staged
from tests.webs import Web


def swap(web: Web, one: Tenant, other: Tenant) -> None:
    """Do as a worker can that was taken over."""
    with web.state.store.write() as platform:
        for tenant, slug in ((one, "x"), (other, one.slug), (one, other.slug)):
            platform.connection.execute(update(tenant_table).where(tenant_table.c.id == tenant.id).values(slug=slug))


async def test_a_group_gives_no_role_in_a_tenant_that_took_anothers_slug(tmp_path: Path) -> None:
    async with staged(tmp_path) as scene:
        acme, victim = scene.web.tenant("acme"), scene.web.tenant("victim")
        scene.provider.groups = ["acme-owners"]
        swap(scene.web, acme, victim)
        eve = await scene.me()
        assert scene.role(victim, eve) == ""
        assert scene.role(acme, eve) == ""


async def test_a_role_that_a_group_gave_stays_what_it_was(tmp_path: Path) -> None:
    async with staged(tmp_path) as scene:
        acme = scene.web.tenant("acme")
        scene.provider.groups = ["acme-owners"]
        assert scene.role(acme, await scene.me()) == "owner"
        assert scene.role(acme, await scene.me()) == "owner"


async def test_a_tenant_that_lives_on_keeps_its_seal(tmp_path: Path) -> None:
    async with staged(tmp_path) as scene:
        acme = scene.web.tenant("acme")
        told: dict[str, Any] = {"by": "operator", "clock": scene.web.clock}
        with scene.web.state.store.write() as platform:
            living.change(platform, acme.id, {"name": "Acme Limited"}, **told)
            for event in (TenantEvent.SUSPEND, TenantEvent.RESUME):
                living.live(platform, acme.id, event, **told)
        scene.provider.groups = ["acme-owners"]
        assert scene.role(acme, await scene.me()) == "owner"
