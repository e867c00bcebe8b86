"""The record: what was done by whom, from both stores; verified here, or offline from an export."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from freehold.audit.canonical import canonical
from freehold.audit.chain import verify
from freehold.audit.database import table
from freehold.audit.recording import every_link, links
from freehold.core.errors import Invalid
from freehold.store.scope import Store
from freehold.store.threads import in_thread
from freehold.web.access import InTenant, Operator, TheState
from freehold.web.lists import Cursor, Limit
from freehold.web.state import State
from freehold.web.views import Listed, told_moment

router = APIRouter(tags=["audit"])
BATCH = 500
_LAST = (1 << 63) - 1
"""No link has a higher number: databases count no further."""

Which = Literal["database", "gateway"]
StoreName = Annotated[Which | None, Query(description="Only of this store; both are merged by time without it.")]


class LinkView(BaseModel):
    """One link of a chain."""

    store: str
    tenant: str
    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    prev: str
    hash: str


class Verified(BaseModel):
    """What verifying found in one store."""

    ok: bool
    count: int
    heads: list[dict[str, Any]]
    faults: list[dict[str, Any]]


class Verdict(BaseModel):
    """What verifying found in both stores."""

    ok: bool
    database: Verified
    gateway: Verified


@router.get("/tenants/{tenant}/audit")
async def list_audit(
    at: InTenant, store: StoreName = None, limit: Limit = 100, cursor: Cursor = ""
) -> Listed[LinkView]:
    """Return what was done in the tenant, oldest first."""
    return await _listed(at.state, at.tenant.id, store, limit, cursor)


@router.get("/audit")
async def list_platform_audit(
    caller: Operator, state: TheState, store: StoreName = None, limit: Limit = 100, cursor: Cursor = ""
) -> Listed[LinkView]:
    """Return what was done to the platform itself, oldest first."""
    return await _listed(state, None, store, limit, cursor)


@router.get("/audit/verify")
async def verify_audit(caller: Operator, state: TheState) -> Verdict:
    """Verify every chain of both stores and name the first fault of each."""
    report = await in_thread(_report, state.store)
    database = Verified(ok=report.pop("ok"), **report)
    gateway = Verified(**await state.gateway.verify_audit())
    return Verdict(ok=database.ok and gateway.ok, database=database, gateway=gateway)


@router.get("/audit/export", responses={200: {"content": {"application/jsonl": {}}}})
async def export_audit(
    caller: Operator, state: TheState, store: Annotated[Which, Query(description="Of this store.")] = "database"
) -> StreamingResponse:
    """Return every link of one store, one JSON object a line, as `freehold audit verify FILE` reads it."""
    tenants = [None, *await in_thread(_tenants, state.store)]
    return StreamingResponse(_lines(state, tenants, store), media_type="application/jsonl")


async def _listed(state: State, tenant: str | None, store: Which | None, limit: int, cursor: str) -> Listed[LinkView]:
    after = _positions(cursor)
    found: list[tuple[str, dict[str, Any]]] = []
    for name in ("database", "gateway") if store is None else (store,):
        chain = await _links(state, name, tenant, after=after[name], limit=limit + 1)
        found += [(name, link) for link in chain]
    found.sort(key=lambda item: item[1]["at"])
    for name, link in found[:limit]:
        after[name] = link["seq"]
    shown = [LinkView(**link | {"store": name, "at": told_moment(link["at"])}) for name, link in found[:limit]]
    following = f"{after['database']}.{after['gateway']}" if len(found) > limit else None
    return Listed(items=shown, next=following)


def _positions(cursor: str) -> dict[str, int]:
    database, dot, gateway = (cursor or "0.0").partition(".")
    if not (dot and database.isdecimal() and gateway.isdecimal()) or len(cursor) > 30:  # noqa: PLR2004
        raise Invalid("This is no cursor.", code="bad_cursor", remedy="Use the `next` of the page before.")
    return {"database": min(int(database), _LAST), "gateway": min(int(gateway), _LAST)}


async def _links(state: State, store: str, tenant: str | None, *, after: int, limit: int) -> list[dict[str, Any]]:
    if store == "gateway":
        return await state.gateway.audit(tenant, after=after, limit=limit)
    return await in_thread(_of_database, state.store, tenant, after, limit)


def _of_database(store: Store, tenant: str | None, after: int, limit: int) -> list[dict[str, Any]]:
    with store.read() as platform:
        return [asdict(link) for link in links(platform.connection, table, tenant=tenant, after=after, limit=limit)]


def _report(store: Store) -> dict[str, Any]:
    with store.read() as platform:
        report = verify(every_link(platform.connection, table))
    return asdict(report) | {"ok": report.ok}


def _tenants(store: Store) -> list[str | None]:
    with store.read() as platform:
        found: list[str | None] = []
        while more := platform.tenants.page(after=str(found[-1]) if found else "", limit=BATCH):
            found += [tenant.id for tenant in more]
        return found


async def _lines(state: State, tenants: list[str | None], store: Which) -> AsyncIterator[bytes]:
    for tenant in tenants:
        after = 0
        while chain := await _links(state, store, tenant, after=after, limit=BATCH):
            after = chain[-1]["seq"]
            yield b"".join(canonical(link) + b"\n" for link in chain)
