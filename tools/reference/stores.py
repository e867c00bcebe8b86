"""The page of all tables: whose their rows are, what they hold and how long they stay."""

import importlib
import pkgutil
from collections.abc import Iterable

from sqlalchemy import MetaData

import freehold.store
from freehold.audit import database
from freehold.gateway import tables
from freehold.store import schema
from freehold.store.folders import KEPT
from tools.reference.markdown import page, rows


def every_table() -> dict[str, MetaData]:
    """Return the tables of each database; importing the store's modules is what declares them."""
    for module in pkgutil.iter_modules(freehold.store.__path__, "freehold.store."):
        importlib.import_module(module.name)
    assert database.table.metadata is schema.metadata  # noqa: S101 - its import declared the audit table
    return {"Database": schema.metadata, "Gateway store": tables.metadata}


def _lines(metadata: MetaData) -> Iterable[tuple[str, ...]]:
    for name, table in sorted(metadata.tables.items()):
        info = table.info
        yield f"`{name}`", f"`{info['tenant']}`", info["data_class"], info["retention"]


def _files() -> Iterable[tuple[str, ...]]:
    for kept in KEPT:
        backup = "yes" if kept.backup else "no"
        yield f"`{kept.path}`", kept.holds, f"`{kept.tenant}`", kept.data_class, kept.retention, backup


def stores_page() -> str:
    """Return the page."""
    blocks = []
    for title, metadata in every_table().items():
        blocks += [f"## {title}", rows(("Table", "Whose", "Class", "Kept"), _lines(metadata))]
    return page(
        "Stores",
        "Every table says whose its rows are (the column, or `platform`), what class of data they hold and how long "
        "they are kept: as long as the tenant, as long as their run, some days, or for ever. "
        "Days say how long rows are needed; nothing removes them by age yet, except the sealed bytes of effects "
        "after 7 days.",
        *blocks,
        "## Files and folders",
        "What else lies in the data folder. Keys are kept apart from backups; what is made again needs none.",
        rows(("Path", "Holds", "Whose", "Class", "Kept", "In backups"), _files()),
    )
