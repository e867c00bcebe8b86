"""
Migrations run when a process starts, one process at a time; a database newer than the code is refused.

A revision's docstring says what it does, how to undo it and what it costs. One is never edited after release.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from freehold.core.errors import Invalid
from freehold.store.db import Database, told, writing

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def migrate(database: Database, folder: Path, *, lock: Path) -> None:
    """
    Bring `database` to the newest revision in `folder`, each revision in a transaction of its own.

    `lock` is a file that keeps other processes waiting meanwhile. Raises `Invalid` (`database_too_new`)
    where the database has a revision this code does not know; nothing is changed then.
    """
    with _alone(lock), told(), writing(database.engine).connect() as connection:
        _refuse_newer(connection, ScriptDirectory.from_config(_config(folder)))
        _run(connection, _config(folder))


def revision(database: Database) -> str | None:
    """Return the revision the database stands at, or None for an empty one."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest(folder: Path) -> str | None:
    """Return the newest revision in `folder`."""
    return ScriptDirectory.from_config(_config(folder)).get_current_head()


def knows(folder: Path, stated: str) -> bool:
    """Return whether the revision `stated` is one of those in `folder`."""
    return stated in {script.revision for script in ScriptDirectory.from_config(_config(folder)).walk_revisions()}


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "os")
    return config


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise Invalid(
            f"The database stands at revision {current}, which this version of Freehold does not know.",
            code="database_too_new",
            remedy="Install the version of Freehold that wrote it, or a newer one.",
        )


def _run(connection: Connection, config: Config) -> None:
    scripts = ScriptDirectory.from_config(config)

    def upgrade(current: Any, _context: MigrationContext) -> Any:
        return scripts._upgrade_revs("head", current)  # noqa: SLF001 - what alembic's own upgrade command calls

    with EnvironmentContext(config, scripts, fn=upgrade) as environment:
        environment.configure(connection=connection, render_as_batch=True, transaction_per_migration=True)
        with environment.begin_transaction():
            environment.run_migrations()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
