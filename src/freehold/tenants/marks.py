"""What the seal covers in each kind of row: all that gives power, and nothing that changes by use."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from freehold.core.people import Invitation, Member, Person, Session
from freehold.core.tenants import Key, Tenant
from freehold.tenants.sealing import Seal

Row = Person | Member | Invitation | Session | Key | Tenant

_COVERED: Final[Mapping[type[Row], tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        Person: ("person", ("id", "email", "platform_role", "allowance", "state")),
        Member: ("member", ("id", "tenant", "person", "role", "state")),
        Invitation: (
            "invitation",
            ("id", "tenant", "email", "role", "invited_by", "hash", "expires_at", "used_at", "revoked_at"),
        ),
        Tenant: ("tenant", ("id", "slug")),
        Session: ("session", ("id", "person", "way", "hash", "strong", "expires_at")),
        Key: (
            "key",
            ("id", "tenant", "hash", "scopes", "agent", "created_by", "expires_at", "replaced_by", "revoked_at"),
        ),
    }
)


def covered(row: Row) -> tuple[str, dict[str, Any]]:
    """Return the kind of `row` and what of it is sealed."""
    kind, names = _COVERED[type(row)]
    return kind, {name: _plain(getattr(row, name)) for name in names}


def mark_of(seal: Seal, row: Row) -> str:
    """Return the mark that `row` should carry."""
    kind, told = covered(row)
    return seal.mark(kind, **told)


def genuine(seal: Seal, row: Row | None) -> bool:
    """Return whether there is such a row and web made it as it stands."""
    if row is None:
        return False
    kind, told = covered(row)
    return seal.holds(row.seal, kind, **told)


def _plain(value: object) -> object:
    match value:
        case datetime():
            return round(value.timestamp() * 1000)
        case frozenset():
            return sorted(value)
        case _:
            return value
