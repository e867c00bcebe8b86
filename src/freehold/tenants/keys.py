"""
API keys: `fh_<env>_<id>_<secret><crc>`.

Shown once, and kept as a hash: the secret part has 256 random bits, so nothing slower is needed. The hash is sealed
and covers what the key may do, because more than one process can write the database: a row that somebody else put
there or widened is no key. The check digits tell a mistyped key from a wrong one without a look at the database, and let
scanners recognise keys that leaked.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from freehold.audit.database import note
from freehold.core.access import good_scopes
from freehold.core.clock import Clock
from freehold.core.errors import Denied
from freehold.core.ids import NewId
from freehold.core.tenants import Caller, Key
from freehold.store.platform import Platform
from freehold.tenants.marks import covered
from freehold.tenants.sealing import Seal

ENV: Final = "live"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET: Final = 43
_CRC: Final = 6
_FORM: Final = re.compile(rf"fh_[a-z]+_[0-9a-z]+_[0-9A-Za-z]{{{_SECRET + _CRC}}}")


def mint(key_id: str, *, env: str = ENV) -> str:
    """Return a fresh key that carries the digits of `key_id`."""
    body = f"fh_{env}_{key_id.removeprefix('key_')}_{_spelt(secrets.randbits(256), _SECRET)}"
    return body + _check(body)


def well_formed(text: str) -> bool:
    """Return whether `text` looks like a key and its check digits are right."""
    return bool(_FORM.fullmatch(text)) and text[-_CRC:] == _check(text[:-_CRC])


def hashed(text: str) -> str:
    """Return what is kept of the operator's key."""
    return hashlib.sha256(text.encode()).hexdigest()


def mark(seal: Seal, key: Key, text: str) -> str:
    """Return what is kept of a key with this text that may do what `key` says."""
    kind, told = covered(key)
    return seal.mark(kind, text=hashed(text), **told)


def genuine(seal: Seal, key: Key, text: str) -> bool:
    """Return whether `text` is the key that web made, as its row stands."""
    kind, told = covered(key)
    return seal.holds(key.hash, kind, text=hashed(text), **told)


def id_in(text: str) -> str:
    """Return the id that a well-formed key carries."""
    return "key_" + text.split("_")[2]


def create(
    platform: Platform,
    *,
    tenant: str | None,
    name: str,
    scopes: Iterable[str],
    creator: Caller,
    seal: Seal,
    ids: NewId,
    clock: Clock,
    agent: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[Key, str]:
    """
    Make a key for `tenant` (none: for the platform) and return it with its text, which is never shown again.

    A key is never wider than its creator: neither in tenants nor in scopes.
    """
    wanted = good_scopes(frozenset(scopes))
    if not creator.holds(wanted, tenant):
        raise Denied(
            "A key cannot do more than whoever makes it.",
            code="wider_than_creator",
            remedy="Ask for scopes that you have yourself, or let an operator make the key.",
        )
    key_id = ids("key")
    text = mint(key_id)
    key = Key(
        id=key_id,
        name=name,
        hash="",
        scopes=wanted,
        tenant=tenant,
        created_at=clock.now(),
        agent=agent,
        created_by=creator.actor,
        expires_at=expires_at,
    )
    key = replace(key, hash=mark(seal, key, text))
    platform.keys.add(key)
    note(
        platform.connection,
        at=key.created_at,
        tenant=tenant,
        actor=creator.actor,
        action="key.create",
        subject=key.id,
        detail={"name": name, "scopes": sorted(wanted)},
    )
    return key, text


def revoke(platform: Platform, *, tenant: str | None, key: str, by: str, clock: Clock) -> None:
    """Put a key of `tenant` out of force for good."""
    at = clock.now()
    platform.keys.revoke(tenant, key, at=at)
    note(platform.connection, at=at, tenant=tenant, actor=by, action="key.revoke", subject=key)


def _check(body: str) -> str:
    return _spelt(zlib.crc32(body.encode()), _CRC)


def _spelt(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits.rjust(width, _DIGITS[0])
