"""
The database machinery: transactions that are short, durable and one writer at a time.

SQLite runs in WAL with `synchronous=FULL`: what was committed survives a power cut. A write
transaction begins `IMMEDIATE`, so it never fails half-way for want of the lock.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, exc

from freehold.core.errors import Exhausted, Unavailable
from freehold.store import prepared
from freehold.store.reserve import Reserve, no_room

BUSY_SECONDS: Final = 30
WRITE: Final = "freehold_write"
_FULL: Final = ("database or disk is full", "disk I/O error", "unable to open database", "readonly database")


class Database:
    """One database and the way to it. Threads share it; each transaction has a connection of its own."""

    def __init__(self, address: str, *, reserve: Reserve | None = None) -> None:
        """Open the database at `address` (an SQLAlchemy URL); `reserve` is dropped when the disk is full."""
        self.engine = open_engine(address)
        # Whoever writes always does it by the same connection, which so has in mind how things stand.
        self._own = open_engine(address) if self.engine.url.database else self.engine
        self._writing = writing(self._own)
        self._writer = threading.Lock()
        self._commits = _Commits(self.engine)
        self.reserve = reserve

    def version(self) -> object:
        """
        Return something that is another after every commit, whoever made it.

        It costs microseconds and waits for nobody, so the event loop may ask. Where the database cannot tell, every
        answer is another.
        """
        return self._commits.version()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one moment of the database."""
        with told(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """
        Give a connection whose work is committed, durably, when the block ends well, and undone when it does not.

        Raises `Exhausted` (507, `disk_full`) when there is no room; the reserve file is dropped then, so that
        what was accepted before can still finish.
        """
        try:
            with self._writer, told(), self._writing.connect() as connection, connection.begin():
                prepared.forget(connection)
                yield connection
                prepared.finish(connection)
        except Exhausted:
            self.make_room()
            raise

    def close(self) -> None:
        """Let go of all connections."""
        self._commits.close()
        self._own.dispose()
        self.engine.dispose()

    def wipe(self) -> None:
        """Bring the log of changes home and empty it, so that what was deleted does not stand on in it."""
        if self.engine.dialect.name != "sqlite":
            return
        with self._writer, told():
            connection = self.engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()

    def require_room(self) -> None:
        """Return if new work may be accepted; raise `Exhausted` (507, `disk_full`) while only old work may finish."""
        if self.reserve is not None:
            self.reserve.require()

    def make_room(self) -> None:
        """Drop the reserve, if there is one: the disk is full and accepted work is to finish."""
        if self.reserve is not None:
            self.reserve.drop()


class _Commits:
    """Counts the commits of a database, by a connection that sees those of all the others."""

    def __init__(self, engine: Engine) -> None:
        file = engine.url.database if engine.dialect.name == "sqlite" else None
        self._address = f"{Path(file).absolute().as_uri()}?mode=rw" if file and file != ":memory:" else ""
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    def version(self) -> object:
        if not self._address:
            return object()
        try:
            with self._lock:
                found: object = self._connected().execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:  # somebody mends it just now
            return object()
        return found

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._closed:
            raise sqlite3.ProgrammingError
        if self._connection is None:
            self._connection = sqlite3.connect(self._address, uri=True, timeout=0, check_same_thread=False)
        return self._connection


@contextmanager
def told() -> Iterator[None]:
    """Translate what the database says into the kinds of error that users meet."""
    try:
        yield
    except exc.OperationalError as error:
        text = str(error.orig)
        if any(sign in text for sign in _FULL):
            raise no_room("There is no room left to write to the database, so nothing was accepted.") from error
        if "locked" in text:
            raise _busy() from error
        raise
    except exc.TimeoutError as error:  # every connection is taken, and nobody gave one back
        raise _busy() from error


def _busy() -> Unavailable:
    return Unavailable("The database is busy.", code="database_busy", after=1.0)


def open_engine(address: str) -> Engine:
    """Return an engine for `address`, set up for durability; SQLite gets its pragmas on every connection."""
    embedded = address.startswith("sqlite")
    more = (
        {"connect_args": {"timeout": BUSY_SECONDS, "check_same_thread": False}} if embedded else {"pool_pre_ping": True}
    )
    engine = create_engine(address, **more)

    @event.listens_for(engine, "before_cursor_execute")
    def before(connection: Connection, *_told: Any) -> None:
        prepared.finish(connection)

    if embedded:
        _set_up(engine)
    return engine


def _set_up(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_SECONDS}000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # By the driver itself, as it is said for every transaction; what it raises is told like anything else's.
        words = "BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITE) else "BEGIN"
        try:
            connection.connection.driver_connection.execute(words)  # type: ignore[union-attr]
        except sqlite3.Error as error:
            raise exc.DBAPIError.instance(words, None, error, sqlite3.Error) from error


def writing(engine: Engine) -> Engine:
    """Return `engine`, same pool, with every transaction begun as one that will write."""
    return engine.execution_options(**{WRITE: True})


def sqlite_address(path: Path) -> str:
    """Return the address of the SQLite file at `path`."""
    return f"sqlite:///{path}"
