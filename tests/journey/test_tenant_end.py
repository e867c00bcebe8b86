"""The end of a tenant: destroyed when its time is over, whoever dies in between, and a receipt is left."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from freehold.app.clearing import Clearing
from freehold.audit.database import table as audit_table
from freehold.core.errors import Unavailable
from freehold.core.people import Role
from freehold.core.tenants import Tenant
from freehold.drivers.objects.folder import FolderObjects
from freehold.drivers.runtime.process import ProcessRuntime
from freehold.store.objects import TenantFiles
from freehold.store.schema import metadata
from freehold.tenants import purging
from freehold.web.purging import purge_due
from tests.crowd import member
from tests.webs import Web, client, made

ACME = "/api/v1/tenants/acme"
DAY = 86_400


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


def lived(web: Web, slug: str = "acme") -> Tenant:
    """Let there be a tenant with a little of everything."""
    tenant = web.tenant(slug)
    web.agent(tenant)
    web.key(tenant, "agents:read")
    member(web, tenant, Role.OWNER)
    with client(web) as asking:
        said = asking.post(f"/api/v1/tenants/{slug}/agents/helper/messages", json={"text": "a word to remember"})
        web.ask(tenant, said.json()["run"]["id"])
        asking.post(f"/api/v1/tenants/{slug}/runs", json={"agent": "helper", "input": "a word to remember"})
    folder = web.state.settings.data / "tenants" / tenant.id
    for path, text in (("workspaces/agt_1/notes.txt", "hello"), ("files/cnv_1/letter.txt", "four")):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(text)
    return tenant


def clearing(web: Web, forget: Callable[[str, str], Awaitable[None]] | None = None) -> Clearing:
    data = web.state.settings.data
    runtime, objects = ProcessRuntime(data), FolderObjects(data)

    async def destroyed(tenant: str, workspace: str) -> None:
        await runtime.destroy(tenant=tenant, workspace=workspace)

    return Clearing(
        web.state.store,
        forget or destroyed,
        lambda tenant: TenantFiles(objects, tenant),
        data=data,
        clock=web.clock,
    )


async def purged(web: Web) -> None:
    await purge_due(web.state)
    await clearing(web).clear()
    await purge_due(web.state)


def delete(web: Web, slug: str = "acme") -> None:
    with client(web) as asking:
        assert asking.delete(f"/api/v1/tenants/{slug}?confirm={slug}").status_code == 200


def receipts(web: Web) -> list[dict[str, Any]]:
    with client(web) as asking:
        found: list[dict[str, Any]] = asking.get("/api/v1/receipts").json()["items"]
        return found


def left(connection: Connection, tenant: str) -> set[str]:
    """Return the tables in which a row is still the tenant's."""
    owned = [(table, table.info["tenant"]) for table in metadata.sorted_tables if table.info["tenant"] != "platform"]
    return {
        table.name
        for table, column in owned
        if connection.execute(table.select().where(table.c[column] == tenant)).first() is not None
    }


async def test_nothing_is_destroyed_before_its_time(web: Web) -> None:
    tenant = lived(web)
    delete(web)
    web.clock.wind(30 * DAY - 1)
    await purged(web)
    with client(web) as asking:
        early = asking.post(f"{ACME}/purge", json={"confirm": "acme"})
        assert (early.status_code, early.json()["code"]) == (409, "too_early")
        assert asking.post(f"{ACME}/restore").json()["id"] == tenant.id
    assert receipts(web) == []


async def test_afterwards_only_hashes_and_a_receipt_are_left(web: Web) -> None:
    tenant, other = lived(web), lived(web, "other")
    before = web.state.settings.data / "tenants"
    with web.state.store.read() as platform:
        neighbours = left(platform.connection, other.id)
    delete(web)
    web.clock.wind(30 * DAY)
    await purged(web)
    with web.state.store.read() as platform:
        assert left(platform.connection, tenant.id) == {"audit"}
        assert left(platform.connection, other.id) == neighbours
    assert [folder.name for folder in before.iterdir()] == [other.id]
    assert web.gateway.erased == [tenant.id]
    [receipt] = receipts(web)
    assert (receipt["slug"], receipt["deleted_by"], receipt["begun_by"]) == ("acme", "operator", "clock")
    assert (receipt["workspaces"], receipt["files"], receipt["bytes"]) == (1, 1, 4)
    assert receipt["rows"]["runs"] == 2
    assert receipt["erased"] == {"tenant_keys": 1}
    assert receipt["purged_at"] is not None
    with web.state.store.read() as platform:
        chain = audit_table.select().where(audit_table.c.tenant == "").order_by(audit_table.c.position)
        assert [row.action for row in platform.connection.execute(chain)][-1] == "tenant.destroyed"


async def test_its_words_are_nowhere_in_the_database_file(web: Web) -> None:
    lived(web)
    delete(web)
    web.clock.wind(30 * DAY)
    await purged(web)
    for file in web.state.settings.data.glob("freehold.db*"):
        assert b"a word to remember" not in await asyncio.to_thread(file.read_bytes), file.name


async def test_its_slug_is_free_again(web: Web) -> None:
    once = {"Idempotency-Key": "first"}
    with client(web) as asking:
        first = asking.post("/api/v1/tenants", json={"slug": "acme"}, headers=once).json()["id"]
    delete(web)
    web.clock.wind(30 * DAY)
    await purged(web)
    with client(web) as asking:
        again = asking.post("/api/v1/tenants", json={"slug": "acme"}, headers=once)
        assert again.status_code == 201
        assert again.json()["id"] != first


async def test_without_a_retention_time_an_operator_destroys_it_at_once(tmp_path: Path) -> None:
    web = made(tmp_path, tenant_retention_days=0)
    lived(web)
    with client(web) as asking:
        assert asking.post(f"{ACME}/purge", json={"confirm": "acme"}).json()["code"] == "not_deleted"
        asking.delete(f"{ACME}?confirm=acme")
        assert asking.post(f"{ACME}/purge", json={"confirm": "other"}).json()["code"] == "not_confirmed"
        begun = asking.post(f"{ACME}/purge", json={"confirm": "acme"})
        assert begun.status_code == 202
        assert asking.post(f"{ACME}/restore").json()["code"] == "purge_begun"
    await purged(web)
    assert receipts(web)[0]["purged_at"] is not None


async def test_what_one_process_leaves_half_done_another_finishes(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = lived(web)
    delete(web)
    web.clock.wind(30 * DAY)
    monkeypatch.setattr(purging, "BATCH", 1)
    await purge_due(web.state)

    async def away(_tenant: str, _workspace: str) -> None:
        raise Unavailable("The spawner is away.")

    with pytest.raises(Unavailable):
        await clearing(web, away).clear()
    await purge_due(web.state)  # it waits for the folders
    assert receipts(web)[0]["rows"] == {}
    await clearing(web).clear()
    with web.state.store.write() as platform:
        assert purging.erase_some(platform, tenant.id)  # and died
    await purge_due(web.state)
    await purge_due(web.state)
    with web.state.store.read() as platform:
        assert left(platform.connection, tenant.id) == {"audit"}
    [receipt] = receipts(web)
    assert receipt["rows"]["runs"] == 2
    assert web.gateway.erased == [tenant.id]
