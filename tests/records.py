"""Records for tests: rows in a database of their own, and a gateway and a web that export what they did."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from freehold.app.gateway_store import MIGRATIONS
from freehold.audit import database as audited
from freehold.audit.recording import record
from freehold.audit.sealing import seal
from freehold.gateway.tables import audit
from freehold.store.db import Database
from freehold.testing.clock import FakeClock
from freehold.web import record as both
from tests.gateways import Kit, running
from tests.shelves import taken
from tests.webs import Web, made

GUARDS = (
    "audit_never_changes",
    "audit_never_shrinks",
    "audit_is_never_replaced",
    "audit_is_numbered_later",
    "audit_is_plain",
    "audit_is_in_order",
)


def store(folder: Path) -> Database:
    """Return an empty store that keeps a record."""
    return taken(MIGRATIONS, folder / "x.db")


def write(tx: Connection, tenant: str | None = "ten_1", **told: Any) -> int:
    """Write a row down."""
    stated: dict[str, Any] = {"at": 1, "actor": "a", "action": "b.c", "subject": "s", "detail": {"d": "é"}}
    return record(tx, audit, tenant=tenant, **(stated | told))


def unguarded(database: Database, *statements: str) -> None:
    """Change the record as somebody would who owns the file: the guards are dropped, and set up again after."""
    with database.write() as tx:
        guards = [row.sql for row in tx.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))]
        for name in GUARDS:
            tx.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            tx.execute(text(statement))
        for guard in guards:
            if " ON audit " in guard:
                tx.execute(text(guard))


def lines_of(file: Path) -> list[dict[str, Any]]:
    """Return the lines of an export."""
    return [json.loads(line) for line in file.read_text().splitlines()]


@dataclass(frozen=True)
class House:
    """A web and a gateway, with the record both keep."""

    web: Web
    kit: Kit
    folder: Path

    @property
    def database(self) -> Database:
        return self.web.state.store.database

    @property
    def anchors(self) -> Path:
        return self.folder / "second" / "freehold-anchors.jsonl"

    def act(self, tenant: str | None, times: int = 1, **told: Any) -> None:
        """Do something that web writes down."""
        with self.web.state.store.write() as platform:
            for number in range(times):
                audited.note(
                    platform.connection,
                    at=self.web.clock.now(),
                    tenant=tenant,
                    actor="key:key_1",
                    action="thing.do",
                    subject=f"thing {number}",
                    **told,
                )
        seal(self.database, audited.table, store=audited.STORE)

    async def gateway_act(self, tenant: str, times: int = 1) -> None:
        """Do something that the gateway writes down."""
        for number in range(times):
            await self.kit.web.set_secret(tenant, f"name{number}", "value", by="key:key_1")

    async def anchored(self, accepted: str = "") -> dict[str, Any]:
        return await both.anchored(self.web.state, accepted=accepted)

    async def exported(self, tenant: str | None = "ten_1", *, texts: bool = False, name: str = "export.jsonl") -> Path:
        """Return the file of an export: of a tenant, or of everything."""
        lines = await both.exported(
            self.web.state, tenant=tenant, stores=both.STORES, every=tenant is None, texts=texts
        )
        file = self.folder / name
        file.write_bytes(b"".join([line async for line in lines]))
        return file

    async def key(self) -> str:
        return await self.kit.web.audit_key()


@asynccontextmanager
async def house(folder: Path, **settings: Any) -> AsyncIterator[House]:
    """Give a gateway, and a web that talks to it, each over a folder of its own."""
    (folder / "second").mkdir()
    stated = {"audit_anchor": str(folder / "second")} | settings
    async with running(folder / "gateway-data", FakeClock(), **stated) as kit:
        yield House(web=made(folder / "web-data", gateway=kit.web), kit=kit, folder=folder)
