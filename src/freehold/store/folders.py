"""
What lies in the data folder beside the databases' tables: whose it is, what it holds and how long it stays.

Export, erasure and backup walk this list as they walk the tables. Patterns are relative to the data folder;
`{tenant}` stands for a tenant's id.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from freehold.store.schema import DataClass, Retention

Owner = Literal["tenant", "platform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One kind of file or folder; what lies below a folder is part of it."""

    path: str
    holds: str
    tenant: Owner
    data_class: DataClass
    retention: Retention
    backup: bool = True
    """Whether a backup takes it along; keys lie elsewhere, and what is made again needs no copy."""


KEPT: Final = (
    Kept(
        path="tenants/{tenant}/workspaces",
        holds="the agents' workspaces",
        tenant="tenant",
        data_class="content",
        retention="tenant",
    ),
    Kept(
        path="tenants/{tenant}/files",
        holds="files that came with messages",
        tenant="tenant",
        data_class="content",
        retention="tenant",
    ),
    Kept(path="freehold.db", holds="the database", tenant="platform", data_class="content", retention="forever"),
    Kept(
        path="gateway/gateway.db",
        holds="the gateway's store",
        tenant="platform",
        data_class="evidence",
        retention="forever",
    ),
    Kept(
        path="gateway/master.key",
        holds="the key that wraps all others",
        tenant="platform",
        data_class="configuration",
        retention="forever",
        backup=False,
    ),
    Kept(
        path="operator.key",
        holds="the operator's API key",
        tenant="platform",
        data_class="configuration",
        retention="forever",
        backup=False,
    ),
    Kept(
        path="keys.seal",
        holds="what rows that give power are sealed with",
        tenant="platform",
        data_class="configuration",
        retention="forever",
        backup=False,
    ),
    Kept(
        path="claim.key",
        holds="what the link shows that claims the installation; gone once it is claimed",
        tenant="platform",
        data_class="configuration",
        retention="forever",
        backup=False,
    ),
    Kept(
        path="reserve",
        holds="room for accepted work on a full disk",
        tenant="platform",
        data_class="operation",
        retention="forever",
        backup=False,
    ),
    Kept(
        path="sandbox",
        holds="what every sandbox finds as /etc, and the guest program; the same for all",
        tenant="platform",
        data_class="operation",
        retention="forever",
        backup=False,
    ),
    Kept(
        path="run",
        holds="sockets and locks of running processes",
        tenant="platform",
        data_class="operation",
        retention="forever",
        backup=False,
    ),
)
_BESIDE: Final = re.compile(r"-(wal|shm|journal)$")
_LOCK: Final = re.compile(r"(^|/)[a-z.]*lock$")
"""A lock is an empty file that says nothing of anybody."""


def undeclared(paths: Iterable[str]) -> list[str]:
    """Return those of `paths` (files, relative to the data folder) that nothing here speaks of."""
    return [path for path in paths if not _LOCK.search(path) and not _declared(_BESIDE.sub("", path))]


def _declared(path: str) -> bool:
    return any(re.match(_pattern(kept.path), path) for kept in KEPT)


def _pattern(path: str) -> str:
    return re.escape(path).replace(re.escape("{tenant}"), "[^/]+") + "(/|$)"
