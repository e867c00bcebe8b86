"""What web may ask about the record: its rows, whether it is whole, signed heads, and personal text opened."""

import contextlib
import json
from dataclasses import asdict
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.audit.chain import Head, Report, verify
from freehold.audit.reading import Wanted, every_link, lines, rows
from freehold.core.errors import FreeholdError
from freehold.gateway import anchoring, pairs
from freehold.gateway import requests as asked
from freehold.gateway.anchoring import STORE
from freehold.gateway.edge import Answer, route
from freehold.gateway.keeping import Keep
from freehold.gateway.placing import SecondPlace
from freehold.gateway.tables import audit

MAX_ROWS: Final = 5_000


def record_routes(keep: Keep, place: SecondPlace) -> dict[str, Answer]:
    """Return the routes of web's socket that are about the record."""
    record = _Record(keep, place)
    return {
        "audit": route(asked.AuditRequest, record.rows),
        "audit/verify": route(asked.VerifyRequest, record.verify),
        "audit/lines": route(asked.LinesRequest, record.lines),
        "audit/known": route(asked.Nothing, record.known),
        "audit/head": route(asked.HeadRequest, record.head),
        "audit/anchor": route(asked.AnchorRequest, record.anchor),
        "audit/key": route(asked.Nothing, record.signing_key),
        "audit/open": route(asked.TextsRequest, record.open_texts),
        "tenants/key": route(asked.TenantRequest, record.text_key),
    }


@final
class _Record:
    """Answers about the record, one method per route."""

    def __init__(self, keep: Keep, place: SecondPlace) -> None:
        self._keep, self._place = keep, place

    async def rows(self, request: asked.AuditRequest) -> list[dict[str, Any]]:
        wanted = Wanted(
            actor=request.actor,
            action=request.action,
            subject=request.subject,
            run=request.run,
            since=request.since,
        )
        limit = min(request.limit, MAX_ROWS)
        span: dict[str, Any] = {"after": request.after, "limit": limit, "wanted": wanted, "last": request.last}
        return await self._keep.read(lambda tx: rows(tx, audit, store=STORE, tenant=request.tenant, **span))

    async def lines(self, request: asked.LinesRequest) -> list[dict[str, Any]]:
        end = Head(store=STORE, tenant=request.tenant or "", seq=request.until, hash="")
        limit = min(request.limit, MAX_ROWS)
        return await self._keep.read(lambda tx: lines(tx, audit, end, after=request.after, limit=limit))

    async def known(self, _request: asked.Nothing) -> dict[str, Any]:
        await self._look_back()
        return await self._keep.read(anchoring.known)

    async def head(self, request: asked.HeadRequest) -> dict[str, Any]:
        await self._place.look_back()
        return await self._keep.write(lambda tx: anchoring.head(tx, self._keep, request))

    async def _look_back(self) -> None:
        with contextlib.suppress(FreeholdError):  # nor from looking at what was signed
            await self._place.look_back()

    async def verify(self, request: asked.VerifyRequest) -> dict[str, Any]:
        await self._look_back()
        with contextlib.suppress(FreeholdError):  # a full disk keeps nobody from looking at what has its place
            await self._keep.seal()
        report: Report = await self._keep.read(lambda tx: verify(every_link(tx, audit, store=STORE)))
        standing = await self._keep.read(lambda tx: anchoring.standing(tx) | self._place.standing(tx))
        told, seen = request.heads, request.seen
        if told is not None:
            standing["faults"] = await self._keep.read(lambda tx: anchoring.compared(tx, told, seen))
        standing["faults"] += await self._keep.read(self._place.faults)
        return asdict(report) | {"ok": report.ok, "anchors": standing}

    async def anchor(self, request: asked.AnchorRequest) -> dict[str, Any]:
        await self._place.look_back()
        made = await self._keep.write(lambda tx: anchoring.anchor(tx, self._keep, request))
        made["faults"] += await self._keep.read(self._place.faults)
        await self._place.catch_up()
        return made | await self._keep.read(self._place.standing)

    async def signing_key(self, _request: asked.Nothing) -> dict[str, str]:
        return await self._key(None, "heads")

    async def text_key(self, request: asked.TenantRequest) -> dict[str, str]:
        return await self._key(request.tenant, "texts")

    async def open_texts(self, request: asked.TextsRequest) -> list[dict[str, Any]]:
        def opened(tx: Tx) -> list[dict[str, Any]]:
            return [json.loads(pairs.opened(tx, self._keep, tenant=request.tenant, box=box)) for box in request.sealed]

        return await self._keep.read(opened)

    async def _key(self, tenant: str | None, purpose: pairs.Purpose) -> dict[str, str]:
        known = await self._keep.read(lambda tx: pairs.known_key(tx, tenant=tenant, purpose=purpose))
        made = known or await self._keep.write(
            lambda tx: pairs.public_key(tx, self._keep, tenant=tenant, purpose=purpose)
        )
        return {"key": made}
