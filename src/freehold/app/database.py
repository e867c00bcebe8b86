"""The database as web and worker open it: brought up to date, closed to others, with a reserve for a full disk."""

import os
from pathlib import Path
from typing import Final

from freehold.core.clock import Clock
from freehold.core.ids import Ids
from freehold.settings import Settings
from freehold.store.db import Database, sqlite_address
from freehold.store.migrating import MIGRATIONS, migrate
from freehold.store.reserve import Reserve
from freehold.store.scope import Store

FILE: Final = "freehold.db"
RESERVE: Final = "reserve"
_OTHERS: Final = 0o007


def migration_lock(settings: Settings) -> Path:
    """Return the file that keeps all but one process from changing the database's shape."""
    return settings.data / "run" / "migrate.lock"


def open_database(settings: Settings) -> Database:
    """Open the database and bring it up to date; its files are for its own user and group alone."""
    os.umask(os.umask(0) | _OTHERS)
    (settings.data / "run").mkdir(parents=True, exist_ok=True)
    address = settings.database or sqlite_address(settings.data / FILE)
    database = Database(address, reserve=Reserve(settings.data / RESERVE, settings.reserve_mb))
    migrate(database, MIGRATIONS, lock=migration_lock(settings))
    return database


def ids_of(store: Store, clock: Clock) -> Ids:
    """Return what makes the ids of this process: turns go by them, so they sort behind those of its predecessors."""
    with store.read() as platform:
        return Ids(clock.now, after=platform.newest_run())
