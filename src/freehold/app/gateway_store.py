"""What the gateway keeps on disk, found and opened: its store, the master key, the list of prices."""

import logging
from pathlib import Path
from typing import Final

from freehold.core.clock import Clock
from freehold.core.ids import Ids
from freehold.gateway import mending
from freehold.gateway.data_keys import any_key
from freehold.gateway.keeping import Keep
from freehold.gateway.money.pricing import Listed
from freehold.settings import Settings
from freehold.store.db import Database, sqlite_address
from freehold.store.revisions import stands_at_newest
from freehold.vault.keyfile import counting_key, master_key
from freehold.vault.sealing import Vault

log = logging.getLogger(__name__)

MIGRATIONS: Final = Path(mending.__file__).parent / "migrations"


def open_store(settings: Settings, clock: Clock) -> Keep:
    """Open the gateway's store under the master key: brought up to date, what a predecessor left open looked after."""
    folder = settings.data / "gateway"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = master_key_file(settings)
    master_key(file)  # a bad file is told before anything is changed
    migrated(folder)
    database = Database(sqlite_address(folder / "gateway.db"))
    with database.read() as tx:
        found = any_key(tx)
    key = counting_key(file, lambda key: bool(found) and Vault(key).unwraps(*found))
    keep = Keep(database, Vault(key), clock=clock, new_id=Ids(clock.now))
    keep.check()
    keep.written(lambda tx: mending.adopt(tx, keep))
    found = keep.written(lambda tx: mending.recover(tx, keep))
    if found:
        log.warning("%d calls were under way when the gateway stopped; what came of them is unknown.", found)
    return keep


def master_key_file(settings: Settings) -> Path:
    """Return where the master key is."""
    stated = settings.master_key_file
    return Path(stated) if stated else settings.data / "gateway" / "master.key"


def price_list(settings: Settings) -> Listed:
    """Return the list of prices: the operator's own, or the one that was installed."""
    own = settings.price_list
    return Listed(Path(own) if own else settings.data / "gateway" / "prices.json", any_version=bool(own))


def migrated(folder: Path) -> None:
    """Bring the store in `folder` up to date, if it is not."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(sqlite_address(folder / "gateway.db"))
    try:
        if not stands_at_newest(database, MIGRATIONS):
            from freehold.store.migrating import migrate  # noqa: PLC0415 - what it loads is not for this process

            migrate(database, MIGRATIONS, lock=folder / "migrate.lock")
        (folder / "gateway.db").chmod(0o600)
    finally:
        database.close()
