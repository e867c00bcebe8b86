"""Somebody who asks for everything once, and looks at what was written down."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy import Connection, MetaData, text

from freehold.audit.database import table as database_audit
from freehold.core.people import Person, Role
from freehold.core.tenants import Tenant
from freehold.gateway.tables import audit as gateway_audit
from freehold.gateway.tables import metadata as gateway_metadata
from freehold.store.schema import metadata
from freehold.testing.clock import FakeClock
from tests.crowd import member, person, signed_in
from tests.gateways import Kit
from tests.webs import OPERATOR, Web, bearer

Headers = dict[str, str]
API = "/api/v1"
HOME = "http://localhost:7070"
PASSING = frozenset({"ceremonies", "login_codes", "login_tries", "login_asks"})
"""Tables of riddles and tries: a try counts, whatever comes of it."""


@dataclass
class Walk:
    """Somebody who asks for everything once, and looks at what was written down."""

    web: Web
    kit: Kit
    asking: httpx.AsyncClient
    clock: FakeClock
    """The gateway's."""
    walked: set[tuple[str, str]] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    """What no row may hold: addresses, names, secrets."""

    @property
    def tenant(self) -> Tenant:
        with self.web.state.store.read() as platform:
            return platform.tenants.find("acme")

    async def act(
        self, asked: str, body: Any = None, *, by: Headers | None = None, query: str = "", **names: str
    ) -> dict[str, Any]:
        """Ask for something: first while nothing can be written down, then in earnest; return the answer."""
        method, path = asked.split()
        place = API + path.format(**{"tenant": "acme"} | names) + query
        headers = bearer(OPERATOR) if by is None else by

        async def ask() -> httpx.Response:
            said = await body() if callable(body) else body
            return await self.asking.request(method, place, headers=headers, json=said)

        before = await self.stores()
        async with self.unwritable():
            refused = await ask()
        assert refused.is_server_error, f"{asked} needs no row: {refused.status_code} {refused.text}"
        after = await self.stores()
        assert {name for name in before if before[name] != after[name]} - PASSING == set(), asked
        answer = await ask()
        assert answer.is_success, f"{asked}: {answer.status_code} {answer.text}"
        await self.recorded(asked, answer)
        self.walked.add((method.lower(), path))
        self.asking.cookies.clear()
        return dict(answer.json()) if answer.content else {}

    async def recorded(self, asked: str, answer: httpx.Response) -> None:
        """Look at the rows that the request left."""
        rows = [row for row in await self.rows() if row["request"] == answer.headers["x-request-id"]]
        assert rows, f"{asked} left no row"
        assert all(row["actor"] and row["way"] for row in rows), (asked, rows)
        chain = self.tenant.id if "{tenant}" in asked else None
        assert chain is None or chain in {row["tenant"] for row in rows}, (asked, rows)

    async def rows(self) -> list[Mapping[str, Any]]:
        def of(tx: Connection, table: Any) -> list[Mapping[str, Any]]:
            return [dict(row) for row in tx.execute(table.select()).mappings()]

        with self.web.state.store.read() as platform:
            ours = of(platform.connection, database_audit)
        return ours + await self.kit.gateway.keep.read(lambda tx: of(tx, gateway_audit))

    async def stores(self) -> dict[str, Any]:
        """Return everything both stores hold."""

        def of(tx: Connection, tables: MetaData, prefix: str) -> dict[str, Any]:
            return {prefix + one.name: tx.execute(one.select()).all() for one in tables.sorted_tables}

        with self.web.state.store.read() as platform:
            ours = of(platform.connection, metadata, "")
        return ours | await self.kit.gateway.keep.read(lambda tx: of(tx, gateway_metadata, "gateway "))

    @asynccontextmanager
    async def unwritable(self) -> AsyncIterator[None]:
        """Let no row get into either record."""
        await self._both("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        yield
        await self._both("DROP TRIGGER full")

    async def _both(self, statement: str) -> None:
        with self.web.state.store.write() as platform:
            platform.connection.execute(text(statement))
        await self.kit.gateway.keep.write(lambda tx: tx.execute(text(statement)))

    def known(self, name: str, role: Role | None = None, **fields: Any) -> tuple[Person, Headers]:
        """Let there be somebody, in the tenant if they have a `role`, who is signed in."""
        self.hidden |= {f"{name}@example.com", f"Name of {name}"}
        found = person(self.web, f"{name}@example.com", name=f"Name of {name}", **fields)
        if role is not None:
            member(self.web, self.tenant, role, found)
        return found, self.signed_in(found)

    def signed_in(self, who: Person) -> Headers:
        return signed_in(self.web, who) | {"Origin": HOME}

    async def riddle(self, path: str, by: Headers) -> Any:
        answer = await self.asking.post(f"{API}{path}", headers=by)
        return answer.json()

    async def get(self, path: str, by: Headers | None = None) -> Any:
        answer = await self.asking.get(f"{API}{path}", headers=by or bearer(OPERATOR))
        return answer.json()
