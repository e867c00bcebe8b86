"""Empty stores for tests: brought up to date once in each test process, and copied for each test."""

import atexit
import shutil
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from sqlalchemy import insert

from freehold.app.database import FILE
from freehold.app.gateway_store import MIGRATIONS as OF_THE_GATEWAY
from freehold.gateway.connection_tables import destinations
from freehold.store.db import Database, sqlite_address
from freehold.store.migrating import MIGRATIONS, migrate


@cache
def pattern(migrations: Path) -> Path:
    """Return an empty store that stands at the newest of `migrations`."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-pattern-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = Database(sqlite_address(folder / "store.db"))
    migrate(database, migrations, lock=folder / "migrate.lock")
    database.close()
    return folder / "store.db"


def taken(migrations: Path, place: Path) -> Database:
    """Give the store at `place`, a new one if there is none, that stands at the newest of `migrations`."""
    if place.exists():
        found = Database(sqlite_address(place))
        migrate(found, migrations, lock=place.parent / "lock")
        return found
    _lay(pattern(migrations), place, 0o660)
    return Database(sqlite_address(place))


def shelve(data: Path) -> None:
    """Lay the empty database into `data`, where there is none: migrating takes longer than most tests."""
    _lay(pattern(MIGRATIONS), data / FILE, 0o660)


def shelve_gateways(data: Path) -> None:
    """Lay the store of the gateway into `data`, where there is none: empty but for the way to servers of the tests."""
    (data / "gateway").mkdir(mode=0o700, parents=True, exist_ok=True)
    _lay(_open_to_this_machine(), data / "gateway/gateway.db", 0o600)


@cache
def _open_to_this_machine() -> Path:
    empty = pattern(OF_THE_GATEWAY)
    store = shutil.copyfile(empty, empty.with_name("open.db"))
    database = Database(sqlite_address(store))
    with database.write() as tx:
        row = {
            "tenant": "",
            "host": "127.0.0.1",
            "port": 0,
            "set_by": "tests",
            "set_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        tx.execute(insert(destinations).values(name="here", **row))
    database.close()
    return store


def _lay(store: Path, place: Path, mode: int) -> None:
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(store, place)
    place.chmod(mode)
