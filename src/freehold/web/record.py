"""
The record of both stores, as web brings it together: pages, exports that end in a signed head, and anchors.

The database's chains web reads itself; the gateway's it asks for. What is signed, the gateway signs: web hands it
the ends of the database's chains, and the gateway compares them with what it signed before.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import Any, Final, Literal

from freehold.audit import database as record
from freehold.audit.canonical import canonical
from freehold.audit.chain import Head, verify
from freehold.audit.reading import Wanted, every_link, lines, rows
from freehold.audit.sealing import hash_at, head, heads, seal
from freehold.core.errors import Conflict, FreeholdError
from freehold.store.scope import Store
from freehold.store.threads import in_thread
from freehold.web.state import State

Which = Literal["database", "gateway"]
STORES: Final[tuple[Which, ...]] = ("database", "gateway")
BATCH: Final = 500
ATTEMPTS: Final = 3
"""How often an anchor is tried while others are made at the same time."""


async def page(
    state: State, store: Which, tenant: str | None, *, after: int, limit: int, wanted: Wanted, last: bool
) -> list[dict[str, Any]]:
    """Return rows of one store in the order they were written: from behind `after`, or the `last` ones."""
    if store == "gateway":
        return await state.gateway.audit(tenant, after=after, limit=limit, last=last, **asdict(wanted))

    def look() -> list[dict[str, Any]]:
        with state.store.read() as platform:
            span: dict[str, Any] = {"after": after, "limit": limit, "wanted": wanted, "last": last}
            return rows(platform.connection, record.table, store=store, tenant=tenant, **span)

    return await in_thread(look)


def verified(store: Store) -> dict[str, Any]:
    """Verify every chain of the database; what has no place yet is not judged."""
    with contextlib.suppress(FreeholdError):  # a full disk keeps nobody from looking
        seal(store.database, record.table, store=record.STORE)
    with store.read() as platform:
        report = verify(every_link(platform.connection, record.table, store=record.STORE))
    return asdict(report) | {"ok": report.ok}


async def exported(
    state: State, *, tenant: str | None, stores: Iterable[Which], every: bool = False, texts: bool = False
) -> AsyncIterator[bytes]:
    """
    Return the lines of an export: whole chains as they end now, and last a head over them that the gateway signed.

    Of one tenant, or of `every` chain; with `texts`, personal text is opened beside the rows it belongs to.
    """
    chosen = sorted(set(stores))
    ends = await in_thread(_ends, state.store, tenant, every=every) if "database" in chosen else []
    told = [{"tenant": end.tenant, "seq": end.seq, "hash": end.hash} for end in ends]
    signed = await state.gateway.audit_head(tenant, stores=chosen, heads=told, every=every)
    if "gateway" in chosen:
        ends += [Head(**end) for end in signed["heads"]]

    async def written() -> AsyncIterator[bytes]:
        for end in ends:
            async for lines_of in _chain(state, end, texts=texts):
                yield b"".join(canonical(line) + b"\n" for line in lines_of)
        yield f"{signed['line']}\n".encode()

    return written()


async def anchored(state: State, *, accepted: str = "") -> dict[str, Any]:
    """Let the gateway sign the ends of all chains now, and write them to the second place; return the anchor."""
    await in_thread(_sealed, state.store)
    return await _with_ends(state, partial(state.gateway.audit_anchor, accepted=accepted))


async def judged_by_gateway(state: State) -> dict[str, Any]:
    """Return what verifying found in the gateway, and whether the chains of both stores still hold what it signed."""
    with contextlib.suppress(FreeholdError):  # a full disk keeps nobody from looking
        await in_thread(_sealed, state.store)
    return await _with_ends(state, state.gateway.verify_audit)


async def _with_ends(state: State, ask: Callable[..., Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Ask the gateway something about the ends of the database's chains; anew, if others were signed meanwhile."""
    for attempt in range(1, ATTEMPTS + 1):
        known = await state.gateway.audit_known()
        ends, seen = await in_thread(_moved, state.store, known["heads"])
        try:
            return await ask(heads=ends, seen=seen)
        except Conflict:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("It is answered or refused.")


async def _chain(state: State, end: Head, *, texts: bool) -> AsyncIterator[list[dict[str, Any]]]:
    after = 0
    while found := await _stretch(state, end, after):
        after = found[-1]["seq"]
        if texts and end.store == record.STORE:
            await _open(state, end.tenant or None, found)
        for line in found:
            del line["position"]
        yield found


async def _stretch(state: State, end: Head, after: int) -> list[dict[str, Any]]:
    if end.store == "gateway":
        return await state.gateway.audit_lines(end.tenant or None, after=after, until=end.seq, limit=BATCH)

    def look() -> list[dict[str, Any]]:
        with state.store.read() as platform:
            return lines(platform.connection, record.table, end, after=after, limit=BATCH)

    return await in_thread(look)


async def _open(state: State, tenant: str | None, found: list[dict[str, Any]]) -> None:
    """Put the personal text beside the lines that have some; where its key is destroyed there is nothing to put."""
    wanted = {line["position"]: line for line in found if "text" in line}

    def look() -> dict[int, bytes]:
        with state.store.read() as platform:
            return record.texts(platform.connection, wanted)

    boxes = await in_thread(look)
    if boxes:
        opened = await state.gateway.open_texts(tenant, list(boxes.values()))
        for position, text in zip(boxes, opened, strict=True):
            wanted[position]["opened"] = text


def _ends(store: Store, tenant: str | None, *, every: bool) -> list[Head]:
    seal(store.database, record.table, store=record.STORE)
    with store.read() as platform:
        if every:
            return heads(platform.connection, record.table, store=record.STORE)
        end = head(platform.connection, record.table, store=record.STORE, tenant=tenant or "")
    return [end] if end.seq else []


def _sealed(store: Store) -> None:
    seal(store.database, record.table, store=record.STORE)


def _moved(store: Store, known: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the ends of all chains, and what stands now where the gateway signed before."""
    with store.read() as platform:
        tx = platform.connection
        ends = heads(tx, record.table, store=record.STORE)
        seen = [
            end | {"hash": hash_at(tx, record.table, tenant=str(end["tenant"]), seq=int(end["seq"]))} for end in known
        ]
    return [{"tenant": end.tenant, "seq": end.seq, "hash": end.hash} for end in ends], seen
