"""The engine as web and worker have it: its tables made ready by one process at a time."""

import fcntl
import os

from freehold.drivers.engine.dbos.driver import DbosEngine, prepare
from freehold.settings import Settings
from freehold.store.db import Database


def open_engine(settings: Settings, database: Database) -> DbosEngine:
    """Return the engine over `database`, its tables made or brought up to date."""
    lock = os.open(settings.data / "run" / "engine.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prepare(database)
        return DbosEngine(database, slots=settings.tenant_slots)
    finally:
        os.close(lock)
