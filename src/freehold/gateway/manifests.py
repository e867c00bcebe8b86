"""
What lies in a tenant's vault, as a sealed list: name, version and hash of everything that is kept there.

Sealing binds a value to its place and version, but an older value is as well sealed as the newest one: somebody who
can write the store's file could put back a key that was replaced because it leaked. So each tenant's list says what
stands there now, and what is not what the list says is not opened. The list has a number, which the record tells
with every change; so putting back the list as well is noticed where the two are compared.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from sqlalchemy import Connection as Tx
from sqlalchemy import insert, select, update

from freehold.audit.canonical import canonical
from freehold.audit.recording import PLATFORM
from freehold.core.errors import Denied
from freehold.gateway.data_keys import DataKeys, owners
from freehold.gateway.tables import audit, key_pairs, manifests, secrets
from freehold.store.db import WRITE
from freehold.vault.sealing import Sealer

PURPOSE: Final = "manifest"
_LIST: Final = "vault"
_TOLD: Final = (
    "secret.set",
    "secret.delete",
    "key_pair.make",
    "vault.list",
    "vault.rotate",
    "sign_in.connect",
    "sign_in.refresh",
    "sign_in.expire",
    "sign_in.disconnect",
)
"""Acts whose rows in the record tell the number of the list."""


class RolledBack(Denied):
    """Something older lies where something newer was: it is not opened."""

    def __init__(self, owner: str, what: str) -> None:
        """Say that `what` of `owner` is not what the list says."""
        super().__init__(
            f"What is stored as {what} is not what was stored there last.",
            code="vault_rolled_back",
            remedy="Somebody put older bytes back into the gateway's store. Find out who; then set the secret anew, "
            "or put a whole backup of the store back.",
        )
        self.owner, self.what = owner, what


@dataclass(frozen=True, slots=True)
class Manifest:
    """The list of one tenant."""

    number: int = 0
    entries: Mapping[str, str] = field(default_factory=dict)
    """Hash by kind and name, as `secret/NAME` and `key pair/PURPOSE`."""


@final
class Manifests:
    """Reads and writes the lists."""

    def __init__(self, keys: DataKeys, anew: Callable[[Callable[[Tx], int]], int]) -> None:
        """Open lists with `keys`; `anew` does a piece of work over the store as it stands now."""
        self._keys, self._anew = keys, anew
        self._read: dict[str, tuple[bytes, Manifest]] = {}
        self._newest: dict[str, int] = {}

    def require(self, tx: Tx, owner: str, kind: str, name: str, *, version: int, sealed: bytes) -> None:
        """Return if this is what lies there by the list; raise `RolledBack` otherwise."""
        found = self.current(tx, owner)
        if found is None or found.entries.get(f"{kind}/{name}") != fingerprint(version, sealed):
            raise RolledBack(owner, f"{kind} {name!r}")

    def current(self, tx: Tx, owner: str) -> Manifest | None:
        """Return the list of `owner`; raise `RolledBack` if it is an older one than we have seen."""
        row = tx.execute(select(manifests.c.number, manifests.c.sealed).where(manifests.c.tenant == owner)).first()
        if row is None:
            return None
        known = self._read.get(owner)
        if known is not None and known[0] == row.sealed:
            self._later(tx, owner, row.number)
            return known[1]
        opener = self._keys.opener(tx, owner)
        if opener is None:
            raise RolledBack(owner, "the list of the vault")
        found = _opened(opener, row)
        self._later(tx, owner, found.number)
        self._read[owner] = row.sealed, found
        return found

    def change(self, tx: Tx, owner: str, sealer: Sealer, entries: Mapping[str, str | None]) -> int:
        """Put `entries` into the list (none: take it out) and return its number; only inside `write`."""
        before = self.current(tx, owner)
        merged: dict[str, str | None] = {**(before.entries if before else {}), **entries}
        after = {name: told for name, told in merged.items() if told is not None}
        number = 1 + (before.number if before else 0)
        sealed = sealer.seal(canonical(after), name=_LIST, purpose=PURPOSE, version=number)
        values = {"number": number, "sealed": sealed}
        if before is None:
            tx.execute(insert(manifests).values(tenant=owner, **values))
        else:
            tx.execute(update(manifests).where(manifests.c.tenant == owner).values(values))
        self._read[owner] = sealed, Manifest(number, after)
        return number

    def adopt(self, tx: Tx, owner: str) -> int | None:
        """
        Make the list of an owner who had secrets before there were lists, and return its number.

        None where there is nothing to be listed, or where the record knows of a list: then it was taken away, and
        nothing will open. Only inside `write`.
        """
        found = standing(tx, owner)
        if not found or told(tx, owner):
            return None
        opener = self._keys.opener(tx, owner)
        return None if opener is None else self.change(tx, owner, opener, found)

    def faults(self, tx: Tx, owner: str) -> list[str]:
        """Return what of `owner` is not as its list says, or as the record says of the list."""
        try:
            listed = self.current(tx, owner) or Manifest()
        except Denied:
            return ["the list of the vault"]
        found = standing(tx, owner)
        wrong = [name for name in sorted(found.keys() | listed.entries) if found.get(name) != listed.entries.get(name)]
        return wrong + (["the list of the vault"] if listed.number != told(tx, owner) else [])

    def _later(self, tx: Tx, owner: str, number: int) -> None:
        """Raise `RolledBack` if the store now stands at an older list than we have seen there."""
        newest = self._newest.get(owner, 0)
        if number >= newest:
            if not tx.get_execution_options().get(WRITE):  # what is being written may yet be undone
                self._newest[owner] = number
        elif self._anew(lambda tx: _number(tx, owner)) < newest:  # else it is only our moment that is older
            raise RolledBack(owner, "the list of the vault")


def fingerprint(version: int, sealed: bytes) -> str:
    """Return what a list says about a sealed value."""
    return f"{version}:{hashlib.sha256(sealed).hexdigest()}"


def standing(tx: Tx, owner: str) -> dict[str, str]:
    """Return what lies in the vault of `owner` now, as its list should say."""
    values = tx.execute(select(secrets.c.name, secrets.c.version, secrets.c.sealed).where(secrets.c.tenant == owner))
    found = {f"secret/{row.name}": fingerprint(row.version, row.sealed) for row in values}
    pairs = tx.execute(select(key_pairs.c.purpose, key_pairs.c.sealed).where(key_pairs.c.tenant == owner))
    return found | {f"key pair/{row.purpose}": fingerprint(1, row.sealed) for row in pairs}


def told(tx: Tx, owner: str) -> int:
    """Return the number of the list that the record told last; 0 if it never did."""
    rows = select(audit.c.detail).where(audit.c.tenant == owner, audit.c.action.in_(_TOLD))
    details = tx.execute(rows.order_by(audit.c.position.desc()).limit(1)).scalars()
    return next((int(json.loads(detail).get("manifest", 0)) for detail in details), 0)


def adopt_all(tx: Tx, lists: Manifests) -> list[tuple[str | None, int]]:
    """Make the lists that are missing, and return whose that was (none: the platform's) and their numbers."""
    have = set(tx.execute(select(manifests.c.tenant)).scalars())
    made = [(owner, lists.adopt(tx, owner)) for owner in owners(tx) if owner not in have]
    return [(None if owner == PLATFORM else owner, number) for owner, number in made if number is not None]


def _number(tx: Tx, owner: str) -> int:
    return int(tx.execute(select(manifests.c.number).where(manifests.c.tenant == owner)).scalar() or 0)


def _opened(opener: Sealer, row: Any) -> Manifest:
    plain = opener.open(row.sealed, name=_LIST, purpose=PURPOSE, version=row.number)
    return Manifest(row.number, json.loads(plain))
