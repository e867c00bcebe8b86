"""Secrets: set, listed by name, forgotten, and opened for one call."""

import re
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from freehold.audit.canonical import digest
from freehold.audit.recording import PLATFORM
from freehold.core.errors import Conflict, Invalid, NotFound
from freehold.gateway.keeping import Keep
from freehold.gateway.ports import Credential
from freehold.gateway.tables import connections, secrets

PURPOSE: Final = "secret"
MAX_BYTES: Final = 65_536
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def good_name(noun: str, name: str) -> str:
    """Return `name` if a `noun` may be called that."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name[:80]!r} is no name for a {noun}.",
            code="bad_name",
            remedy="Use up to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
        )
    return name


def put(tx: Connection, keep: Keep, *, tenant: str | None, name: str, value: str, by: str) -> None:
    """Seal `value` as the new version of the secret `name`."""
    good_name("secret", name)
    if not value.strip():
        raise Invalid("A blank secret protects nothing.", code="blank_secret", remedy="Give the secret a value.")
    if len(value.encode()) > MAX_BYTES:
        raise Invalid(
            "This secret is too long.", code="too_large", status=413, remedy=f"Keep it below {MAX_BYTES} bytes."
        )
    owner = tenant or PLATFORM
    before = _stored(tx, owner, name)
    version = 1 + (before.version if before is not None else 0)
    sealed = keep.sealer(tx, owner).seal(value.encode(), name=name, purpose=PURPOSE, version=version)
    values = {"version": version, "sealed": sealed, "set_by": by, "set_at": keep.now()}
    if version == 1:
        tx.execute(insert(secrets).values(tenant=owner, name=name, **values))
    else:
        tx.execute(update(secrets).where(*_is(owner, name)).values(values))
    keep.note(
        tx,
        tenant,
        actor=by,
        action="secret.set",
        subject=name,
        detail={"version": version},
        before=_hash(before),
        after=_hash(_stored(tx, owner, name)),
    )


def names(tx: Connection, *, tenant: str | None) -> list[dict[str, Any]]:
    """Return name, version and time of every secret; never a value."""
    columns = (secrets.c.name, secrets.c.version, secrets.c.set_by, secrets.c.set_at)
    rows = tx.execute(select(*columns).where(secrets.c.tenant == (tenant or PLATFORM)).order_by(secrets.c.name))
    return [row._asdict() for row in rows]


def remove(tx: Connection, keep: Keep, *, tenant: str | None, name: str, by: str) -> None:
    """Forget the secret `name`; one that a connection uses stays."""
    owner = tenant or PLATFORM
    used = select(connections.c.name).where(connections.c.tenant == owner, connections.c.secret == name)
    user = tx.execute(used).scalar()
    if user is not None:
        raise Conflict(
            f"The connection {user!r} uses the secret {name!r}.",
            code="secret_in_use",
            remedy="Delete the connection first, or set the secret to another value.",
        )
    before = _stored(tx, owner, name)
    if before is None:
        raise missing(name)
    tx.execute(delete(secrets).where(*_is(owner, name)))
    keep.note(tx, tenant, actor=by, action="secret.delete", subject=name, before=_hash(before))


def exists(tx: Connection, *, tenant: str | None, name: str) -> bool:
    """Return whether there is a secret `name`."""
    return tx.execute(select(secrets.c.version).where(*_is(tenant or PLATFORM, name))).first() is not None


def opened(tx: Connection, keep: Keep, *, tenant: str | None, name: str | None) -> Credential:
    """Return the secret `name` opened; nothing for no name."""
    if name is None:
        return Credential()
    row = _stored(tx, tenant or PLATFORM, name)
    opener = keep.opener(tx, tenant)
    if row is None or opener is None:
        raise missing(name)
    return Credential(opener.open(row.sealed, name=name, purpose=PURPOSE, version=row.version).decode())


def missing(name: str) -> NotFound:
    """Return the error that tells there is no such secret."""
    return NotFound(
        f"There is no secret {name!r}.", code="missing_secret", remedy=f"Set it with: freehold secret set {name}"
    )


def _stored(tx: Connection, owner: str, name: str) -> Any:
    return tx.execute(select(secrets.c.version, secrets.c.sealed).where(*_is(owner, name))).first()


def _hash(row: Any) -> str:
    """Return the hash of a secret as it lies there: of what is sealed, never of what is in it."""
    return "" if row is None else digest({"version": row.version, "sealed": row.sealed.hex()})


def _is(owner: str, name: str) -> tuple[Any, Any]:
    return secrets.c.tenant == owner, secrets.c.name == name
