"""
Passkeys: made by somebody who is signed in, shown to sign in.

Whoever has one makes or removes another only in a session in which a passkey was shown. Otherwise a mailbox that
somebody broke into would be as good as the device.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection

from freehold.audit.canonical import digest
from freehold.audit.database import note
from freehold.audit.recording import Facts
from freehold.core.ceremonies import Passkey
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Denied, NotFound
from freehold.core.ids import NewId
from freehold.core.people import Person, PersonState
from freehold.store.ceremonies import Passkeys
from freehold.store.platform import Platform
from freehold.tenants.devices import Made, Party, refused, shown
from freehold.tenants.marks import genuine as made_by_us
from freehold.tenants.sealing import Seal

MOST: Final = 20
"""Passkeys of one person."""


def of(connection: Connection, person: str, *, seal: Seal) -> list[Passkey]:
    """Return a person's passkeys, oldest first; a row that web did not write is none."""
    return [one for one in Passkeys(connection).of(person) if genuine(seal, one)]


def may_change(connection: Connection, person: str, *, strong: bool, seal: Seal) -> list[Passkey]:
    """Return the passkeys there are, if a session that is `strong` or not may add to them or take away."""
    known = of(connection, person, seal=seal)
    if known and not strong:
        raise Denied(
            "Show one of your passkeys first.",
            code="passkey_needed",
            remedy="Sign in with a passkey and try again. If you lost them all, ask an operator to remove them.",
        )
    return known


def add(
    platform: Platform, person: Person, made: Made, *, name: str, strong: bool, seal: Seal, ids: NewId, clock: Clock
) -> Passkey:
    """Write down a passkey that a device made for `person` and return it."""
    keep = Passkeys(platform.connection)
    known = may_change(platform.connection, person.id, strong=strong, seal=seal)
    if len(known) >= MOST:
        raise Conflict(
            f"There are {MOST} passkeys already.", code="too_many_passkeys", remedy="Remove one that you do not use."
        )
    if keep.by_credential(made.credential) is not None:
        raise Conflict("This passkey is known already.", code="passkey_known", remedy="Use it, or another device.")
    passkey = Passkey(
        id=ids("pky"),
        person=person.id,
        name=name or "Passkey",
        credential=made.credential,
        public_key=made.public_key,
        signs=made.signs,
        synced=made.synced,
        created_at=clock.now(),
    )
    passkey = replace(passkey, seal=_mark(seal, passkey))
    keep.add(passkey)
    _note(platform, passkey, "passkey.add", by=f"person:{person.id}", clock=clock, after=passkey)
    return passkey


def remove(
    platform: Platform, person: Person, passkey: str, *, strong: bool, needed: bool, seal: Seal, clock: Clock
) -> None:
    """Forget a passkey of `person`; with `needed`, the last one stays."""
    known = of(platform.connection, person.id, seal=seal)
    found = next((one for one in known if one.id == passkey), None)
    if found is None:
        raise NotFound("There is no such passkey.", remedy="GET /api/v1/passkeys shows yours.")
    may_change(platform.connection, person.id, strong=strong, seal=seal)
    if needed and len(known) == 1:
        raise Conflict(
            "Operators need a passkey here, and this is your last.",
            code="last_passkey",
            remedy="Add another one first.",
        )
    Passkeys(platform.connection).remove(found.id)
    _note(platform, found, "passkey.remove", by=f"person:{person.id}", clock=clock, before=found)


def remove_all(platform: Platform, person: str, *, by: str, clock: Clock) -> int:
    """Forget all passkeys of a person who lost them, and return how many there were."""
    keep = Passkeys(platform.connection)
    found = keep.of(person)
    for passkey in found:
        keep.remove(passkey.id)
        _note(platform, passkey, "passkey.remove", by=by, clock=clock, before=passkey)
    return len(found)


def show(
    platform: Platform, party: Party, credential: Mapping[str, Any], challenge: str, *, seal: Seal, clock: Clock
) -> Person | None:
    """
    Return who showed a passkey as an answer to `challenge`; none where its device counts back, which was copied.

    Raises `Denied` (`bad_passkey`) for anything else that is wrong. Commit what this does in any case.
    """
    passkey = Passkeys(platform.connection).by_credential(str(credential.get("id", "")))
    if passkey is None or not genuine(seal, passkey):
        raise refused()
    signs = shown(party, credential, challenge, passkey)
    person = platform.people.find(passkey.person)
    if person is None or not made_by_us(seal, person) or person.state is not PersonState.ACTIVE:
        raise refused()
    if (signs or passkey.signs) and signs <= passkey.signs:
        _note(platform, passkey, "passkey.copied", by=f"person:{person.id}", clock=clock, verdict="deny")
        return None
    Passkeys(platform.connection).used(passkey.id, signs=signs, at=clock.now())
    return person


def genuine(seal: Seal, passkey: Passkey) -> bool:
    """Return whether web wrote this row as it stands."""
    return seal.holds(passkey.seal, "passkey", **_covered(passkey))


def _mark(seal: Seal, passkey: Passkey) -> str:
    return seal.mark("passkey", **_covered(passkey))


def _covered(passkey: Passkey) -> dict[str, str]:
    return {
        "id": passkey.id,
        "person": passkey.person,
        "credential": passkey.credential,
        "public_key": passkey.public_key.hex(),
    }


def _note(
    platform: Platform,
    passkey: Passkey,
    action: str,
    *,
    by: str,
    clock: Clock,
    verdict: str = "",
    before: Passkey | None = None,
    after: Passkey | None = None,
) -> None:
    facts: Facts = {"before": _hash(before), "after": _hash(after), "verdict": verdict}
    note(
        platform.connection,
        at=clock.now(),
        tenant=None,
        actor=by,
        action=action,
        subject=passkey.id,
        detail={"person": passkey.person},
        **facts,
    )


def _hash(passkey: Passkey | None) -> str:
    return "" if passkey is None else digest(_covered(passkey))
