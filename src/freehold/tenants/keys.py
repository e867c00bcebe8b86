"""
API keys: `fh_<env>_<id>_<secret><crc>`.

Shown once, and kept as a hash: the secret part has 256 random bits, so nothing slower is needed. The row is sealed
with all that the key may do and how long, because more than one process can write the database: one that somebody
else put there, widened or made last longer is no key. The check digits tell a mistyped key from a wrong one without a look at the database, and let
scanners recognise keys that leaked.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from freehold.audit.canonical import fingerprint
from freehold.audit.database import note
from freehold.core.access import AGENT_NOUNS, PLATFORM_NOUNS, good_scopes
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Denied, Invalid
from freehold.core.ids import NewId
from freehold.core.tenants import Caller, Key
from freehold.store.agents import Agents
from freehold.store.platform import Platform
from freehold.tenants.marks import genuine as made_by_us
from freehold.tenants.marks import mark_of
from freehold.tenants.sealing import Seal

ENV: Final = "live"
TEST: Final = "test"
"""What keys of an installation in test mode say in place of it."""
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET: Final = 43
_CRC: Final = 6
_APART: Final = ("name", "last_used_at")
"""Not part of what is compared of a key: words of a person's, and what changes by itself."""
_FORM: Final = re.compile(rf"fh_[a-z]+_[0-9a-z]+_[0-9A-Za-z]{{{_SECRET + _CRC}}}")


def mint(key_id: str, *, env: str = ENV) -> str:
    """Return a fresh key that carries the digits of `key_id`."""
    body = f"fh_{env}_{key_id.removeprefix('key_')}_{_spelt(secrets.randbits(256), _SECRET)}"
    return body + _check(body)


def well_formed(text: str) -> bool:
    """Return whether `text` looks like a key and its check digits are right."""
    return bool(_FORM.fullmatch(text)) and text[-_CRC:] == _check(text[:-_CRC])


def hashed(text: str) -> str:
    """Return what is kept of a key's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def genuine(seal: Seal, key: Key, text: str) -> bool:
    """Return whether `text` is the key that web made, as its row stands."""
    return hmac.compare_digest(hashed(text), key.hash) and made_by_us(seal, key)


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
    env: str = ENV,
) -> tuple[Key, str]:
    """
    Make a key for `tenant` (none: for the platform) and return it with its text, which is never shown again.

    With `agent` (name or id) it is for that one alone. A key is never wider than its creator: neither in tenants, nor
    in scopes, nor in time. Raises `Denied` (`wider_than_creator`) or `Invalid` (`unknown_scope`, `bad_expiry`,
    `scope_not_for_agent`, `scope_not_for_tenant`).
    """
    wanted, at = good_scopes(frozenset(scopes)), clock.now()
    bound = _agent(platform, tenant, agent)
    _fitting(wanted, tenant=tenant, agent=bound)
    _held(creator, wanted, tenant=tenant, agent=bound)
    until = _until(platform, creator, expires_at, at=at)
    asked = Key(
        id=ids("key"),
        name=name,
        hash="",
        scopes=wanted,
        tenant=tenant,
        created_at=at,
        agent=bound,
        created_by=creator.actor,
        expires_at=until,
    )
    key, text = _put(platform, asked, seal=seal, env=env)
    _note(platform, key, creator.actor, "key.create", at=at)
    return key, text


def rotate(
    platform: Platform,
    *,
    tenant: str | None,
    key: str,
    overlap: timedelta,
    by: Caller,
    seal: Seal,
    ids: NewId,
    clock: Clock,
    env: str = ENV,
) -> tuple[Key, str]:
    """
    Make a key that may do what `key` may, in its place, and return it with its text; the old one ends after `overlap`.

    Whoever rotates is told the new text, so they must be able to do all that it can. Raises `Denied`
    (`wider_than_creator`) or `Conflict` (`key_over`, `already_rotated`).
    """
    old, at = platform.keys.get(tenant, key), clock.now()
    if not made_by_us(seal, old) or not old.in_force(at):
        raise Conflict("This key is out of force.", code="key_over", remedy="Make a new one.")
    if old.replaced_by is not None:
        raise Conflict(
            f"This key was rotated already: {old.replaced_by} takes its place.",
            code="already_rotated",
            remedy="Rotate that one, or revoke this one.",
        )
    _held(by, old.scopes, tenant=tenant, agent=old.agent)
    until = _until(platform, by, old.expires_at, at=at)
    fresh = replace(old, id=ids("key"), created_at=at, created_by=by.actor, expires_at=until, last_used_at=None)
    new, text = _put(platform, fresh, seal=seal, env=env)
    ending = replace(old, replaced_by=new.id, revoked_at=at + overlap)
    platform.keys.save(replace(ending, seal=mark_of(seal, ending)))
    _note(platform, new, by.actor, "key.rotate", at=at, replaces=old.id, ends=(at + overlap).isoformat())
    return new, text


def revoke(platform: Platform, *, tenant: str | None, key: str, by: str, seal: Seal, clock: Clock) -> None:
    """Put a key of `tenant` out of force for good; one that is out already stays so."""
    found, at = platform.keys.get(tenant, key), clock.now()
    if found.revoked_at is not None and found.revoked_at <= at:
        return
    ended = replace(found, revoked_at=at)
    # What web did not make is not made genuine by being revoked.
    platform.keys.save(replace(ended, seal=mark_of(seal, ended) if made_by_us(seal, found) else ""))
    _note(platform, ended, by, "key.revoke", at=at, before=found)


def listed(platform: Platform, tenant: str | None, *, seal: Seal) -> list[Key]:
    """Return the keys of one tenant, or the platform's, that web made; those out of force too."""
    return [key for key in platform.keys.of(tenant) if made_by_us(seal, key)]


def _agent(platform: Platform, tenant: str | None, agent: str | None) -> str | None:
    """Return the id of the agent that is named, if one is."""
    if agent is None:
        return None
    if tenant is None:
        raise Invalid(
            "An agent belongs to a tenant.", code="agent_without_tenant", remedy="Make the key for the tenant."
        )
    return Agents(platform.connection, tenant).find(agent).id


def _fitting(wanted: Collection[str], *, tenant: str | None, agent: str | None) -> None:
    """Refuse scopes that would say something and mean nothing."""
    nouns = {scope.partition(":")[0] for scope in wanted}
    if agent is not None and nouns - AGENT_NOUNS:
        raise Invalid(
            f"A key for one agent cannot have {', '.join(sorted(_of(wanted, nouns - AGENT_NOUNS)))}.",
            code="scope_not_for_agent",
            remedy=f"Use scopes of {', '.join(sorted(AGENT_NOUNS))}; the rest belongs to the whole tenant.",
        )
    if tenant is not None and nouns & PLATFORM_NOUNS:
        raise Invalid(
            f"A tenant's key cannot have {', '.join(sorted(_of(wanted, nouns & PLATFORM_NOUNS)))}.",
            code="scope_not_for_tenant",
            remedy="These are the platform's own; an operator makes a key of the platform.",
        )


def _of(wanted: Collection[str], nouns: Collection[str]) -> list[str]:
    return [scope for scope in wanted if scope.partition(":")[0] in nouns]


def _held(creator: Caller, wanted: Collection[str], *, tenant: str | None, agent: str | None) -> None:
    """Refuse to give away what the creator does not have."""
    if not creator.holds(wanted, tenant) or creator.agent not in {None, agent}:
        raise _wider("Ask for scopes that you have yourself, or let an operator make the key.")


def _until(platform: Platform, creator: Caller, wanted: datetime | None, *, at: datetime) -> datetime | None:
    """Return when the key ends: as wanted, and with the key that makes it if that one ends."""
    if wanted is not None and wanted <= at:
        raise Invalid("A key cannot end before it begins.", code="bad_expiry", remedy="Let it end later.")
    own = None if creator.key is None else platform.keys.find(creator.key)
    ends = [end for end in (own.expires_at, own.revoked_at) if end is not None] if own is not None else []
    if not ends:
        return wanted
    if wanted is not None and wanted > min(ends):
        raise _wider("Let it end no later than the key that makes it.")
    return wanted or min(ends)


def _wider(remedy: str) -> Denied:
    return Denied("A key cannot do more than whoever makes it.", code="wider_than_creator", remedy=remedy)


def _put(platform: Platform, key: Key, *, seal: Seal, env: str) -> tuple[Key, str]:
    """Write down `key` with a fresh text, and return both."""
    text = mint(key.id, env=env)
    key = replace(key, hash=hashed(text))
    key = replace(key, seal=mark_of(seal, key))
    platform.keys.add(key)
    return key, text


def _note(
    platform: Platform, key: Key, by: str, action: str, *, at: datetime, before: Key | None = None, **told: str
) -> None:
    ends = key.expires_at and key.expires_at.isoformat()
    note(
        platform.connection,
        at=at,
        tenant=key.tenant,
        actor=by,
        action=action,
        subject=key.id,
        detail={"scopes": sorted(key.scopes), "agent": key.agent, "expires_at": ends} | told,
        personal={"name": key.name} if key.name else None,
        before=fingerprint(before, *_APART),
        after=fingerprint(key, *_APART),
    )


def _check(body: str) -> str:
    return _spelt(zlib.crc32(body.encode()), _CRC)


def _spelt(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits.rjust(width, _DIGITS[0])
