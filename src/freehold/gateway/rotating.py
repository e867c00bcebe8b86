"""
Data keys replaced by fresh ones, and the master key by a fresh one, while everything goes on.

A fresh generation of a tenant's key seals from the first moment on; what lies under the older one is sealed anew in
small transactions, and when nothing is left there the older one is destroyed. Both open meanwhile, so nobody who reads
notices. Whatever breaks this off, it is taken up where it stood: that two generations are there says so.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import Table, func, or_, select, update

from freehold.audit.recording import PLATFORM
from freehold.gateway import data_keys, ledger, pairs, secrets
from freehold.gateway.connection_tables import SIGN_IN, sign_ins
from freehold.gateway.keeping import Keep
from freehold.gateway.manifests import fingerprint
from freehold.gateway.tables import effects, key_pairs
from freehold.gateway.tables import secrets as secret_table
from freehold.vault.keyfile import master_key, next_key, put_in_place
from freehold.vault.sealing import Sealer, Vault, generation_of

BATCH: Final = 100
"""Rows sealed anew in one transaction: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where sealed values are: a table, the name of each in it, its columns with their purposes."""

    table: Table
    name: str
    columns: Mapping[str, str]
    listed: bool = True
    """Whether it stands in the manifest."""
    versioned: bool = False

    def version(self, row: Mapping[str, Any]) -> int:
        """Return the version that what is sealed in `row` is bound to."""
        return int(row["version"]) if self.versioned else 1

    def entry(self, row: Mapping[str, Any]) -> str:
        """Return what `row` is called in the manifest."""
        return f"{self.columns['sealed']}/{row[self.name]}"

    def rows(self, tx: Tx, owner: str, after: str) -> list[Mapping[str, Any]]:
        """Return the next rows behind the name `after` that hold something sealed."""
        name, kept = self.table.c[self.name], [self.table.c[column].is_not(None) for column in self.columns]
        chosen = select(self.table).where(self.table.c.tenant == owner, name > after, or_(*kept))
        return [dict(row) for row in tx.execute(chosen.order_by(name).limit(BATCH)).mappings()]

    def count(self, tx: Tx, owner: str) -> int:
        """Return how many rows hold something sealed."""
        kept = [self.table.c[column].is_not(None) for column in self.columns]
        chosen = select(func.count()).select_from(self.table).where(self.table.c.tenant == owner, or_(*kept))
        return int(tx.execute(chosen).scalar() or 0)


_KEPT: Final = (
    _Kept(secret_table, "name", {"sealed": secrets.PURPOSE}, versioned=True),
    _Kept(key_pairs, "purpose", {"sealed": pairs.SEALED}),
    _Kept(effects, "key", {"arguments": ledger.ARGUMENTS, "outcome": ledger.OUTCOME}, listed=False),
    _Kept(sign_ins, "id", {"sealed": SIGN_IN}, listed=False),
)


def count(tx: Tx, owners: list[str]) -> int:
    """Return how many rows of `owners` hold something sealed."""
    return sum(kept.count(tx, owner) for owner in owners for kept in _KEPT)


async def rotate(keep: Keep, owner: str, *, by: str, done: Callable[[int], None]) -> None:
    """Replace the data key of `owner`, or finish replacing it; `done` is told how many more rows were looked at."""
    await keep.write(partial(_begin, keep=keep, owner=owner, by=by))
    for kept in _KEPT:
        after: str | None = ""
        while after is not None:
            after, looked = await keep.write(partial(_anew, keep=keep, owner=owner, kept=kept, after=after))
            done(looked)
    await keep.write(partial(_finish, keep=keep, owner=owner, by=by))
    await keep.wipe()  # the older key does not stand on in the log of changes


async def replace_master(keep: Keep, path: Path, *, by: str) -> int:
    """
    Put every data key under a fresh master key, and its file in the place of the old one; return how many keys.

    Until the file is replaced both are there, and a gateway that starts finds out which of them counts.
    """
    before, fresh = master_key(path), next_key(path)

    def work(tx: Tx) -> int:
        # Here and not before: whoever needs a key from now on is behind us in the one line of writers.
        keep.keys.vault = Vault(fresh, before)
        wrapped = keep.keys.wrap_anew(tx)
        keep.note(tx, None, actor=by, action="vault.wrap", subject="master key", detail={"keys": wrapped})
        return wrapped

    try:
        wrapped = await keep.write(work)
    except BaseException:
        keep.keys.vault = Vault(before)
        raise
    await keep.aside(lambda: put_in_place(path))
    await keep.wipe()
    return wrapped


def _begin(tx: Tx, *, keep: Keep, owner: str, by: str) -> None:
    if keep.keys.next_generation(tx, owner, at=keep.now()):
        sealer = keep.sealer(tx, owner)
        listed = keep.manifests.change(tx, owner, sealer, {})
        _note(tx, keep, owner, by, {"generation": sealer.generation, "state": "begun", "manifest": listed})


def _anew(tx: Tx, *, keep: Keep, owner: str, kept: _Kept, after: str) -> tuple[str | None, int]:
    """Seal the next rows anew; return the name of the last of them, none at the end, and how many there were."""
    sealer = keep.keys.opener(tx, owner)
    if sealer is None:  # erased meanwhile
        return None, 0
    rows, entries = kept.rows(tx, owner, after), {}
    for row in rows:
        changed = dict(_resealed(keep, tx, owner, kept, row, sealer))
        if changed:
            which = kept.table.c.tenant == owner, kept.table.c[kept.name] == row[kept.name]
            tx.execute(update(kept.table).where(*which).values(changed))
        if changed and kept.listed:
            entries[kept.entry(row)] = fingerprint(kept.version(row), changed["sealed"])
    if entries:
        listed = keep.manifests.change(tx, owner, sealer, entries)
        _note(tx, keep, owner, "gateway", {"rows": len(entries), "state": "going on", "manifest": listed})
    return (rows[-1][kept.name] if len(rows) == BATCH else None), len(rows)


def _resealed(
    keep: Keep, tx: Tx, owner: str, kept: _Kept, row: Mapping[str, Any], sealer: Sealer
) -> Iterator[tuple[str, bytes]]:
    """Give what of `row` is under an older key, sealed under the newest; what was put back is not made good by it."""
    for column, purpose in kept.columns.items():
        sealed = row[column]
        if sealed is None or generation_of(sealed) == sealer.generation:
            continue
        place: dict[str, Any] = {"name": row[kept.name], "purpose": purpose, "version": kept.version(row)}
        if kept.listed:
            keep.manifests.require(tx, owner, purpose, place["name"], version=place["version"], sealed=sealed)
        yield column, sealer.seal(sealer.open(sealed, **place), **place)


def _finish(tx: Tx, *, keep: Keep, owner: str, by: str) -> None:
    sealer = keep.keys.opener(tx, owner)
    if sealer is not None and owner in data_keys.between_generations(tx):
        keep.keys.drop_older(tx, owner)
        listed = keep.manifests.change(tx, owner, sealer, {})
        _note(tx, keep, owner, by, {"generation": sealer.generation, "state": "done", "manifest": listed})


def _note(tx: Tx, keep: Keep, owner: str, by: str, detail: dict[str, Any]) -> None:
    tenant = None if owner == PLATFORM else owner
    keep.note(tx, tenant, actor=by, action="vault.rotate", subject="data key", detail=detail)
