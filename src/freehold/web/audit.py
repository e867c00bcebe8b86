"""The record: what was done by whom, from both stores; verified here, or offline from an export."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel
from starlette.responses import StreamingResponse

from freehold.audit.reading import Wanted
from freehold.core.errors import Denied, Invalid
from freehold.store.threads import in_thread
from freehold.web.access import InTenant, Operator, TheState
from freehold.web.lists import Cursor, Limit
from freehold.web.record import STORES, Which, anchored, exported, judged_by_gateway, page, verified
from freehold.web.state import State
from freehold.web.views import Asked, Listed, told_moment

router = APIRouter(tags=["audit"])
JSONL: dict[int | str, dict[str, Any]] = {200: {"content": {"application/jsonl": {}}}}
_LAST = (1 << 63) - 1
"""No row has a higher position: databases count no further."""

StoreName = Annotated[Which | None, Query(description="Only of this store; both without it.")]
Newest = Annotated[bool, Query(description="The newest instead of the oldest; there is no page behind them.")]
Word = Annotated[str, Query(max_length=300)]


class RowView(BaseModel):
    """A row of the record; `seq`, `prev` and `hash` are its place in the chain, which it gets within a second."""

    store: str
    tenant: str
    at: str
    actor: str
    way: str = ""
    action: str
    subject: str
    run: str = ""
    request: str = ""
    verdict: str = ""
    policy: str = ""
    before: str = ""
    after: str = ""
    arguments: str = ""
    approver: str = ""
    result: str = ""
    text: str = ""
    detail: dict[str, Any]
    seq: int | None
    prev: str | None
    hash: str | None


class Verified(BaseModel):
    """What verifying found in one store."""

    ok: bool
    count: int
    heads: list[dict[str, Any]]
    faults: list[dict[str, Any]]


class Anchors(BaseModel):
    """How the signed heads stand: the last one, and since when one is missing in the second place."""

    key: str = ""
    number: int = 0
    at: str | None = None
    faults: list[dict[str, Any]] = []
    place: str = ""
    missing_since: str | None = None


class Verdict(BaseModel):
    """What verifying found in both stores."""

    ok: bool
    database: Verified
    gateway: Verified
    anchors: Anchors


class NewAnchor(Asked):
    """A wish to sign the ends of all chains now."""

    accept_restored: bool = False
    """Take chains that went back or changed as right, because a backup was restored; the anchor says so."""


class AuditKey(BaseModel):
    """The public key under which heads are signed."""

    key: str
    algorithm: str = "Ed25519"


async def wanted(  # async: a thread would cost more than the look
    actor: Word = "", action: Word = "", subject: Word = "", run: Word = "", since: AwareDatetime | None = None
) -> Wanted:
    """Return which rows are wanted; an action may be a noun, which is all its verbs."""
    millis = max(0, round(since.timestamp() * 1000)) if since else 0
    return Wanted(actor=actor, action=action, subject=subject, run=run, since=millis)


Filter = Annotated[Wanted, Depends(wanted)]


@router.get("/tenants/{tenant}/audit")
async def list_audit(
    at: InTenant,
    only: Filter,
    store: StoreName = None,
    last: Newest = False,  # noqa: FBT002 - a query is named
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Listed[RowView]:
    """Return what was done in the tenant, oldest first."""
    return await _listed(at.state, at.tenant.id, store, only, limit=limit, cursor=cursor, last=last)


@router.get("/tenants/{tenant}/audit/export", responses=JSONL)
async def export_tenant_audit(
    at: InTenant,
    texts: Annotated[bool, Query(description="Open personal text too; needs audit:admin.")] = False,  # noqa: FBT002
) -> StreamingResponse:
    """Return the tenant's whole record of both stores, one JSON object a line, and last a signed head over it."""
    if texts and not at.caller.may("audit:admin", at.tenant.id):
        raise Denied(
            "To see personal text, the scope audit:admin is needed.",
            code="missing_scope",
            remedy="Export without texts, or ask an owner.",
        )
    lines = await exported(at.state, tenant=at.tenant.id, stores=STORES, texts=texts)
    return StreamingResponse(lines, media_type="application/jsonl")


@router.get("/audit")
async def list_platform_audit(
    caller: Operator,
    state: TheState,
    only: Filter,
    store: StoreName = None,
    last: Newest = False,  # noqa: FBT002
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Listed[RowView]:
    """Return what was done to the platform itself, oldest first."""
    return await _listed(state, None, store, only, limit=limit, cursor=cursor, last=last)


@router.get("/audit/verify")
async def verify_audit(caller: Operator, state: TheState) -> Verdict:
    """Verify every chain of both stores, name the first fault of each, and say how the signed heads stand."""
    database = Verified(**await in_thread(verified, state.store))
    told = await judged_by_gateway(state)
    anchors = Anchors(**_with_moments(told.pop("anchors", {})))
    gateway = Verified(**told)
    ok = database.ok and gateway.ok and not anchors.faults
    return Verdict(ok=ok, database=database, gateway=gateway, anchors=anchors)


@router.get("/audit/export", responses=JSONL)
async def export_audit(caller: Operator, state: TheState, store: StoreName = None) -> StreamingResponse:
    """Return the whole record, one JSON object a line, as `freehold audit verify FILE` reads it, and a signed head."""
    lines = await exported(state, tenant=None, stores=(store,) if store else STORES, every=True)
    return StreamingResponse(lines, media_type="application/jsonl")


@router.get("/audit/key")
async def show_audit_key(state: TheState) -> AuditKey:
    """Return the public key with which a record is verified; keep it where nobody here can change it."""
    return AuditKey(key=await state.gateway.audit_key())


@router.post("/audit/anchor")
async def anchor_audit(caller: Operator, state: TheState, body: NewAnchor) -> Anchors:
    """Sign the ends of all chains now, and write them to the second place."""
    made = await anchored(state, accepted=caller.actor if body.accept_restored else "")
    return Anchors(**_with_moments(made))


async def _listed(
    state: State, tenant: str | None, store: Which | None, only: Wanted, *, limit: int, cursor: str, last: bool
) -> Listed[RowView]:
    after = _positions(cursor)
    found: list[dict[str, Any]] = []
    for name in STORES if store is None else (store,):
        found += await page(state, name, tenant, after=after[name], limit=limit + 1, wanted=only, last=last)
    found.sort(key=lambda row: row["at"])
    shown = found[-limit:] if last else found[:limit]
    for row in shown:
        after[row["store"]] = row["position"]
    following = f"{after['database']}.{after['gateway']}" if len(found) > limit and not last else None
    return Listed(items=[RowView(**row | {"at": told_moment(row["at"])}) for row in shown], next=following)


def _positions(cursor: str) -> dict[str, int]:
    database, dot, gateway = (cursor or "0.0").partition(".")
    if not (dot and database.isdecimal() and gateway.isdecimal()) or len(cursor) > 30:  # noqa: PLR2004
        raise Invalid("This is no cursor.", code="bad_cursor", remedy="Use the `next` of the page before.")
    return {"database": min(int(database), _LAST), "gateway": min(int(gateway), _LAST)}


def _with_moments(told: dict[str, Any]) -> dict[str, Any]:
    return told | {name: told_moment(told.get(name)) for name in ("at", "missing_since")}
