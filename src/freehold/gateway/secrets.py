"""
Secrets: set, listed by name, forgotten, and opened for one call.

The platform keeps some of its own beside those of people, such as the tokens of accounts. Their names hold a sign that
nobody can type, they are listed for nobody, and whoever opens one says that it is ours.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from freehold.audit.canonical import digest
from freehold.audit.recording import PLATFORM
from freehold.core.errors import Conflict, Invalid, NotFound
from freehold.gateway.connection_tables import connections
from freehold.gateway.keeping import Keep
from freehold.gateway.manifests import fingerprint
from freehold.gateway.ports import Credential
from freehold.gateway.tables import secrets

PURPOSE: Final = "secret"
MAX_BYTES: Final = 65_536
REMEMBERED: Final = 1_000
"""How many opened secrets are remembered at once."""
OURS: Final = ":"
"""The sign in the names of what the platform keeps for itself."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


# Spelt once: every call passes here.
_LOOK: Final = select(secrets.c.version, secrets.c.sealed).where(
    secrets.c.tenant == bindparam("of_owner"), secrets.c.name == bindparam("of_name")
)


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
    version, told = _sealed(tx, keep, owner, name, value, by)
    listed = keep.manifests.change(tx, owner, keep.sealer(tx, owner), {f"{PURPOSE}/{name}": told})
    keep.note(
        tx,
        tenant,
        actor=by,
        action="secret.set",
        subject=name,
        detail={"version": version, "manifest": listed},
        before=_hash(before),
        after=_hash(_stored(tx, owner, name)),
    )


def put_ours(tx: Connection, keep: Keep, *, owner: str, values: Mapping[str, str | None], by: str) -> int:
    """
    Seal what the platform keeps for itself (none: forget it), and return the number of the vault's list.

    Whoever asks for it says in the record what it did, and with the number; an action that does so stands in
    `manifests`.
    """
    entries: dict[str, str | None] = {}
    for name, value in values.items():
        if value is None:
            tx.execute(delete(secrets).where(*_is(owner, name)))
            entries[f"{PURPOSE}/{name}"] = None
        else:
            _, entries[f"{PURPOSE}/{name}"] = _sealed(tx, keep, owner, name, value, by)
    return keep.manifests.change(tx, owner, keep.sealer(tx, owner), entries)


def names(tx: Connection, *, tenant: str | None) -> list[dict[str, Any]]:
    """Return name, version and time of every secret that people set; never a value."""
    columns = (secrets.c.name, secrets.c.version, secrets.c.set_by, secrets.c.set_at)
    theirs = secrets.c.tenant == (tenant or PLATFORM), secrets.c.name.not_like(f"%{OURS}%")
    rows = tx.execute(select(*columns).where(*theirs).order_by(secrets.c.name))
    return [row._asdict() for row in rows]


def remove(tx: Connection, keep: Keep, *, tenant: str | None, name: str, by: str) -> None:
    """Forget the secret `name`; one that a connection uses stays."""
    owner = tenant or PLATFORM
    if user := _user(tx, owner, name):
        raise Conflict(
            f"The connection {user!r} uses the secret {name!r}.",
            code="secret_in_use",
            remedy="Delete the connection first, or set the secret to another value.",
        )
    before = _stored(tx, owner, name)
    if before is None or OURS in name:
        raise missing(name)
    tx.execute(delete(secrets).where(*_is(owner, name)))
    listed = keep.manifests.change(tx, owner, keep.sealer(tx, owner), {f"{PURPOSE}/{name}": None})
    keep.note(
        tx, tenant, actor=by, action="secret.delete", subject=name, detail={"manifest": listed}, before=_hash(before)
    )


def exists(tx: Connection, *, tenant: str | None, name: str) -> bool:
    """Return whether there is a secret `name`."""
    return tx.execute(select(secrets.c.version).where(*_is(tenant or PLATFORM, name))).first() is not None


def opened(tx: Connection, keep: Keep, *, tenant: str | None, name: str | None, ours: bool = False) -> Credential:
    """
    Return the secret `name` opened; nothing for no name. With `ours`, also one that the platform keeps for itself.

    What was opened last is remembered together with its sealed bytes, which are read anew every time: while they
    are the same, nothing needs to be opened again. Raises `RolledBack` where an older value was put back.
    """
    if name is None:
        return Credential()
    if OURS in name and not ours:
        raise missing(name)
    owner = tenant or PLATFORM
    row = tx.execute(_LOOK, {"of_owner": owner, "of_name": name}).first()
    if row is None:
        keep.remembered.pop((owner, name), None)
        raise missing(name)
    known = keep.remembered.get((owner, name))
    if known is not None and known[0] == row.sealed:
        return known[1]
    opener = keep.opener(tx, tenant)
    if opener is None:
        raise missing(name)
    keep.manifests.require(tx, owner, PURPOSE, name, version=row.version, sealed=row.sealed)
    credential = Credential(opener.open(row.sealed, name=name, purpose=PURPOSE, version=row.version).decode())
    if len(keep.remembered) >= REMEMBERED:
        keep.remembered.clear()
    keep.remembered[owner, name] = row.sealed, credential
    return credential


def missing(name: str) -> NotFound:
    """Return the error that tells there is no such secret."""
    return NotFound(
        f"There is no secret {name!r}.",
        code="missing_secret",
        remedy=f"Set it with: freehold secret set {name}, and --tenant TENANT or --platform as for what uses it",
    )


def _sealed(tx: Connection, keep: Keep, owner: str, name: str, value: str, by: str) -> tuple[int, str]:
    """Seal `value` as the next version of `name`; return the version, and what the vault's list says of it."""
    before = _stored(tx, owner, name)
    version = 1 + (before.version if before is not None else 0)
    sealed = keep.sealer(tx, owner).seal(value.encode(), name=name, purpose=PURPOSE, version=version)
    values = {"version": version, "sealed": sealed, "set_by": by, "set_at": keep.now()}
    if version == 1:
        tx.execute(insert(secrets).values(tenant=owner, name=name, **values))
    else:
        tx.execute(update(secrets).where(*_is(owner, name)).values(values))
    return version, fingerprint(version, sealed)


def _user(tx: Connection, owner: str, name: str) -> str:
    """Return a connection that uses the secret `name`, also to show who its client is; empty where none does."""
    rows = tx.execute(
        select(connections.c.name, connections.c.secret, connections.c.config).where(connections.c.tenant == owner)
    )
    return next((row.name for row in rows if name in (row.secret, _client(row.config))), "")


def _client(config: Mapping[str, Any]) -> object:
    stated = config.get("oauth")
    return stated.get("client_secret") if isinstance(stated, dict) else None


def _stored(tx: Connection, owner: str, name: str) -> Any:
    return tx.execute(select(secrets.c.version, secrets.c.sealed).where(*_is(owner, name))).first()


def _hash(row: Any) -> str:
    """Return the hash of a secret as it lies there: of what is sealed, never of what is in it."""
    return "" if row is None else digest({"version": row.version, "sealed": row.sealed.hex()})


def _is(owner: str, name: str) -> tuple[Any, Any]:
    return secrets.c.tenant == owner, secrets.c.name == name
