"""
Model keys: `fhm_<secret><crc>`, what a program outside shows to call models in a tenant's name.

Shown once, and kept as a hash: the secret has 256 random bits, so nothing slower is needed. Kept here and not in the
database, because it is here that they are checked. The check digits tell a mistyped key from a wrong one without a
look at the store, and let scanners recognise keys that leaked.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import Row, bindparam, insert, select, update

from freehold.audit.canonical import fingerprint
from freehold.core.errors import Invalid, NotFound
from freehold.core.money import Level
from freehold.gateway.calls.levels import good_routes
from freehold.gateway.keeping import Keep
from freehold.gateway.money_tables import model_keys

PREFIX: Final = "fhm_"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET: Final = 43
_CRC: Final = 6
_FORM: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_SECRET + _CRC}}}")
MOST_MODELS: Final = 50

_FIND: Final = select(model_keys).where(model_keys.c.hash == bindparam("of_hash"), model_keys.c.revoked_at.is_(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKey:
    """A model key that was not revoked."""

    tenant: str
    id: str
    name: str
    agent: str
    """Whose calls those with it count as; empty: no agent's."""
    models: frozenset[str]
    """Levels and CONNECTION/MODEL it may name; none: any of the tenant's."""
    expires_at: datetime | None

    def in_force(self, at: datetime) -> bool:
        """Return whether it holds at a moment."""
        return self.expires_at is None or at < self.expires_at


def mint() -> str:
    """Return the text of a fresh key."""
    body = PREFIX + _spelt(secrets.randbits(256), _SECRET)
    return body + _check(body)


def well_formed(text: str) -> bool:
    """Return whether `text` looks like a model key and its check digits are right."""
    return bool(_FORM.fullmatch(text)) and text[-_CRC:] == _check(text[:-_CRC])


def hashed(text: str) -> str:
    """Return what is kept of a key's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def find(tx: Tx, *, hash: str) -> ModelKey | None:  # noqa: A002 - it is one
    """Return the key whose text has this hash; none if there is no such key or it was revoked."""
    row = tx.execute(_FIND, {"of_hash": hash}).first()
    if row is None:
        return None
    return ModelKey(
        tenant=row.tenant,
        id=row.id,
        name=row.name,
        agent=row.agent,
        models=frozenset(row.models),
        expires_at=row.expires_at,
    )


def make(
    tx: Tx,
    keep: Keep,
    *,
    tenant: str,
    name: str,
    by: str,
    agent: str = "",
    models: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> tuple[dict[str, Any], str]:
    """Make a key of `tenant`, and return it as it is listed and its text, which is never shown again."""
    if expires_at is not None and expires_at <= keep.now():
        raise Invalid("This time is over.", code="bad_expiry", remedy="Let the key expire in the future.")
    wanted = sorted(set(models))
    _good_models(wanted)
    text, made = mint(), keep.new_id("fhm")
    values = {"name": _good_name(name), "agent": agent, "models": wanted, "expires_at": expires_at}
    tx.execute(
        insert(model_keys).values(tenant=tenant, id=made, hash=hashed(text), made_by=by, made_at=keep.now(), **values)
    )
    view = _view(tx.execute(select(model_keys).where(*_is(tenant, made))).one())
    detail = {"agent": agent, "models": wanted}
    keep.note(
        tx, tenant, actor=by, action="model_key.create", subject=made, detail=detail, after=_hash(view)
    )  # fmt: skip
    return view, text


def revoke(tx: Tx, keep: Keep, *, tenant: str, key: str, by: str) -> dict[str, Any]:
    """Put a key of `tenant` out of force for good, and return it; one that is out already stays so."""
    row = tx.execute(select(model_keys).where(*_is(tenant, key))).first()
    if row is None:
        raise missing()
    if row.revoked_at is not None:
        return _view(row)
    tx.execute(update(model_keys).where(*_is(tenant, key)).values(revoked_at=keep.now()))
    after = _view(tx.execute(select(model_keys).where(*_is(tenant, key))).one())
    keep.note(
        tx, tenant, actor=by, action="model_key.revoke", subject=key, before=_hash(_view(row)), after=_hash(after)
    )
    return after


def listed(tx: Tx, *, tenant: str) -> list[dict[str, Any]]:
    """Return the keys of `tenant`, newest first; never the text of one, nor its hash."""
    rows = tx.execute(select(model_keys).where(model_keys.c.tenant == tenant).order_by(model_keys.c.id.desc()))
    return [_view(row) for row in rows]


def missing() -> NotFound:
    """Return the error that tells there is no such key, whoever's it may be."""
    return NotFound(
        "There is no such model key.", code="unknown_model_key", remedy="`freehold model-key list` shows all."
    )


def used(tx: Tx, ids: Collection[str], at: datetime) -> None:
    """Write down that keys were used; several at once, because every call uses one."""
    if ids:
        tx.execute(update(model_keys).where(model_keys.c.id.in_(sorted(ids))).values(last_used_at=at))


def _good_models(models: list[str]) -> None:
    named = [model for model in models if model not in set(Level)]
    for model in named:
        good_routes([model])
    if len(models) > MOST_MODELS:
        raise Invalid(
            "A key names too many models.",
            code="too_many_models",
            remedy=f"Name at most {MOST_MODELS}, or none to allow all of the tenant's.",
        )


def _good_name(name: str) -> str:
    if not name.strip() or len(name) > 80 or not name.isprintable():  # noqa: PLR2004 - as long as any name
        raise Invalid("A key needs a name.", code="bad_name", remedy="Use up to 80 characters on one line.")
    return name


def _is(tenant: str, key: str) -> tuple[Any, Any]:
    return model_keys.c.tenant == tenant, model_keys.c.id == key


def _view(row: Row[Any]) -> dict[str, Any]:
    columns = ("id", "name", "agent", "models", "made_by", "made_at", "expires_at", "revoked_at", "last_used_at")
    return {column: getattr(row, column) for column in columns}


def _hash(view: dict[str, Any]) -> str:
    return fingerprint(view, "name", "last_used_at")  # words of a person's, and what changes by itself


def _check(body: str) -> str:
    return _spelt(zlib.crc32(body.encode()), _CRC)


def _spelt(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
